"""Runs uvicorn; a shutdown does not wait for long polls."""

import gc
import math
import sys
from types import FrameType

import uvicorn

from service.api.app import create_app
from service.api.auth.keys_file import KeysError
from service.api.http.connection import connections
from service.api.services import ProcessServices
from service.api.state.change_feed import ChangeFeed
from service.infra.artifact_store import StoreError
from service.infra.listen_address import InsecureBindError, check_listen_address
from service.infra.logging import configure_logging
from service.infra.settings.api import ApiSettings
from service.infra.settings.environment import SettingsError, read_settings
from service.infra.settings.telemetry import TraceSettings
from service.infra.tracing import TracingUnavailableError, open_tracer

GC_THRESHOLDS = (50_000, 20, 100)  # requests leave few cycles behind
GRACE_S = 10  # for requests in progress at the signal


class Server(uvicorn.Server):
    """Ends all waiting for explanations on SIGTERM or SIGINT, so that long polls respond."""

    def __init__(self, config: uvicorn.Config, watch: ChangeFeed) -> None:
        super().__init__(config)
        self._watch = watch

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._watch.stop()
        super().handle_exit(sig, frame)


def main() -> None:
    try:
        settings = read_settings(ApiSettings)
        configure_logging(level=settings.log_level, as_json=settings.log_json)
        check_listen_address(settings.host, settings.keys_file)
        tracer = open_tracer(read_settings(TraceSettings), "shapshot-api")
        services = ProcessServices.of(settings, tracer)
        app = create_app(services)
    except (
        SettingsError,
        InsecureBindError,
        KeysError,
        StoreError,
        TracingUnavailableError,
    ) as error:
        sys.exit(f"shapshot: {error}")
    gc.freeze()  # collecting imported objects paused requests for 0.1 s
    gc.set_threshold(*GC_THRESHOLDS)
    config = uvicorn.Config(
        app,
        http=connections(settings),  # type: ignore[arg-type]  # it is called like a class
        ws="none",
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        proxy_headers=False,  # http/proxy_headers.py reads them
        server_header=False,
        timeout_keep_alive=math.ceil(settings.head_timeout_s),  # 5 s would end it between polls
        timeout_graceful_shutdown=GRACE_S,
    )
    Server(config, services.change_feed).run()
