"""`shapshot`, and `python -m service`: the command line, where its libraries are installed."""

import sys


def main() -> None:
    try:
        from service.cli.main import app
    except ModuleNotFoundError as error:
        sys.exit(
            f"shapshot: {error.name} is not installed: the command line takes more than the Python "
            "client does. Install it: pip install 'shapshot[service]'; to run workers here, too, "
            "'shapshot[service,worker]'"
        )
    app()


if __name__ == "__main__":
    main()
