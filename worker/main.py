"""Starts a worker process: settings, models, then the job loop. `python -m worker.main`."""

import importlib
import os
import secrets
import socket
import sys
from functools import partial
from threading import Thread

import redis
import structlog

from service.infra.artifact_store import Store, StoreError, open_store
from service.infra.deadlines import StoreDeadlines
from service.infra.logging import configure_logging
from service.infra.settings.environment import SettingsError, read_settings
from service.infra.settings.telemetry import TraceSettings
from service.infra.settings.worker import WorkerSettings
from service.infra.tracing import Tracer, TracingUnavailableError, open_tracer
from service.jobs.leases import Leases
from service.jobs.maintenance import Maintenance
from service.jobs.redis_clock import log_offset, measure_offset
from service.jobs.redis_connections import connect
from service.jobs.redis_retry import retry_while_down
from service.jobs.rq_adapter import Job
from service.jobs.rq_job import EXPLAIN
from worker.blas_threads import use_one_thread
from worker.explain_job import Explainer
from worker.housekeeping import Housekeeping, show_alive
from worker.models.errors import RegistryError
from worker.models.registry import Registry, read_registry
from worker.native_stderr import relay_native_stderr
from worker.rq_worker import ModelWorker
from worker.startup_timer import StartupTimer

REDIS_WAIT_S = 60
START_ERRORS = (
    SettingsError,
    TracingUnavailableError,
    RegistryError,
    StoreError,
    ValueError,  # a malformed URL
    OSError,
    redis.RedisError,
)

log = structlog.get_logger(__name__)


def main() -> int:
    """Serve until stopped; return the exit code: 0, or 1 where the worker could not start."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read once, when TensorFlow is imported
    use_one_thread()
    start_up = StartupTimer()
    try:
        settings = read_settings(WorkerSettings)
    except SettingsError as error:  # logging is not configured yet
        sys.exit(f"shapshot: {error}")
    _relay = relay_native_stderr() if settings.log_json else None  # a dropped Popen warns
    configure_logging(level=settings.log_level, as_json=settings.log_json)
    try:
        tracer = open_tracer(read_settings(TraceSettings), "shapshot-worker")
        registry = read_registry(settings.models, weights_cache=settings.weights_cache)
        os.environ["KERAS_BACKEND"] = registry.keras_backend  # read once, when Keras is imported
        store = open_store(settings.store_url, StoreDeadlines.of_worker(settings))
        connection = connect(settings.redis_url)
        if settings.alive_file:  # fail here, not in a thread, where the file cannot be written
            show_alive(settings.alive_file)
        compared = partial(measure_offset, connection)
        log_offset(
            retry_while_down(compared, "waiting for Redis", pause_s=1, patience_s=REDIS_WAIT_S)
        )
        retry_while_down(store.check, "waiting for the store", pause_s=1, patience_s=REDIS_WAIT_S)
    except START_ERRORS as error:
        cause = error.cause if isinstance(error, StoreError) else str(error)
        log.error("the worker cannot start", reason=cause)
        return 1
    start_up.done("redis")
    return serve(settings, registry, store, connection, start_up, tracer)


def serve(
    settings: WorkerSettings,
    registry: Registry,
    store: Store,
    connection: redis.Redis,
    start_up: StartupTimer,
    tracer: Tracer,
) -> int:
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    maintenance = Maintenance(connection, settings)
    housekeeping = Housekeeping(name, connection, maintenance, store, settings, registry.cards)
    housekeeping.start()  # announces its models as loading: clients can wait for them
    try:
        importlib.import_module("keras")  # imports TensorFlow or JAX, too
        start_up.done("keras")
        load(registry.default, registry, housekeeping)
        start_up.done("default_model")
        Thread(target=load_others, args=(registry, housekeeping), daemon=True).start()
        Job.functions[EXPLAIN] = Explainer(registry, store, settings, tracer).explain
        log.info("ready", worker=name, queue=settings.queue, **start_up.seconds)
        leases = Leases(connection, settings)
        worker = ModelWorker(name, connection, leases, settings, housekeeping.identity)
        worker.work(logging_level="WARNING")
    finally:
        housekeeping.stop()
        tracer.close()
    return 0


def load_others(registry: Registry, housekeeping: Housekeeping) -> None:
    """Load the other models in the background, while the default one serves."""
    for model in registry.names:
        if model != registry.default:
            load(model, registry, housekeeping)


def load(model: str, registry: Registry, housekeeping: Housekeeping) -> None:
    registry.load(model)
    housekeeping.wake()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Skip Python's teardown, which can hang: h5py's finalizers deadlock with a thread that is still
    # loading a model. Every job has been returned or finished by now.
    os._exit(code)
