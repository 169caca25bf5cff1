"""Which IP addresses a request that a client asked for may go to."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Beyond what ipaddress knows as not global, in all versions of Python that this service runs on
_REFUSED: Sequence[tuple[Network, str]] = [
    (ip_network("100.64.0.0/10"), "shared by a provider's customers (100.64.0.0/10)"),
    (ip_network("192.0.0.0/24"), "reserved"),
    (ip_network("192.88.99.0/24"), "a relay of 6to4"),
    (ip_network("198.18.0.0/15"), "reserved for benchmarks"),
    (ip_network("::/96"), "reserved"),
    (ip_network("64:ff9b:1::/48"), "a local translation to IPv4"),
    (ip_network("2001::/23"), "reserved"),  # with Teredo
]
_NAT64 = ip_network("64:ff9b::/96")


def refusal(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """Returns what the address is, if no request may go there; None if one may.

    An IPv6 address that stands for an IPv4 address is judged as that one. allowed: networks of the
    operator, where requests may go.
    """
    while (inner := _embedded(address)) is not None:
        address = inner
    if any(address in network for network in allowed):
        return None
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "private": address.is_private,
        "reserved": address.is_reserved,
        "site-local": isinstance(address, IPv6Address) and address.is_site_local,
    }
    for kind, applies in kinds.items():
        if applies:
            return kind
    for network, kind in _REFUSED:
        if address in network:
            return kind
    return None if address.is_global else "not public"


def _embedded(address: Address) -> IPv4Address | None:
    """Returns the IPv4 address that is reached through an IPv6 address, if any."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
