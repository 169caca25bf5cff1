"""`shapshot`, and `python -m service`: the command line, where its libraries are installed."""

import sys


def main() -> None:
    try:
        from service.cli.main import app
    except ModuleNotFoundError as error:
        sys.exit(
            f"shapshot: {error.name} is not installed. The command line needs more packages than "
            "the Python client: pip install 'shapshot[service]', or 'shapshot[service,worker]' to "
            "run workers here too"
        )
    app()


if __name__ == "__main__":
    main()
