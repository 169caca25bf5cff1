"""`python -m service.api`: the API under uvicorn, until SIGTERM or SIGINT."""

from service.api.server import main

if __name__ == "__main__":
    main()
