"""Explanations logged into a run of MLflow, whose files are in a folder of the test."""

import json
import sys
import zipfile
from io import BytesIO

import pytest

from service.evidence.keys import SigningKey
from service.schemas.warnings import ResultWarning, WarningCode
from tests.api.conftest import some_arrays, some_curves, some_regions
from tests.client.conftest import serving
from tests.extras import import_or_skip

WARNING = ResultWarning(
    code=WarningCode.FEW_EVALUATIONS, detail="few", value=1.0, limit=2.0, output=None
)


@pytest.fixture
def settings(settings, tmp_path):
    key = tmp_path / "signing-key.pem"
    SigningKey.create(key)
    return settings.model_copy(update={"signing_key_file": key})


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = import_or_skip("mlflow")
    mlflow.set_tracking_uri(f"file:{tmp_path}/mlruns")
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()


def test_settings_numbers_and_files_are_in_the_run(ask, fake_worker, photo, mlflow):
    settings = {"metrics": ["insertion"], "masker": "mean", "metadata": {"study": 7}}
    id_ = ask("submit", photo, settings).id
    curves = some_curves("insertion")
    arrays = some_arrays() | some_regions()
    fake_worker.succeed(id_, arrays=arrays, curves=curves, warnings=[WARNING])
    with mlflow.start_run() as run:
        folder = ask("log_mlflow", id_, step=3)
    assert folder == f"shapshot/{id_}"
    logged = mlflow.MlflowClient().get_run(run.info.run_id).data
    assert logged.params["shapshot.masker"] == "mean"
    assert json.loads(logged.params["shapshot.metrics"]) == ["insertion"]
    assert "shapshot.metadata" not in logged.params
    assert json.loads(logged.tags["shapshot.metadata"]) == {"study": 7}
    assert logged.tags["shapshot.explanation"] == id_
    assert logged.tags["shapshot.warnings"] == "few_evaluations"
    assert logged.metrics["shapshot.score/ant"] == 0.5
    assert logged.metrics["shapshot.base_value/crane"] == 0.125
    assert logged.metrics["shapshot.insertion/ant"] == 0.25
    assert logged.metrics["shapshot.insertion.random/ant"] == 0.125
    assert "shapshot.held_out_fidelity/ant" not in logged.metrics  # not known
    [point] = mlflow.MlflowClient().get_metric_history(run.info.run_id, "shapshot.score/ant")
    assert point.step == 3
    names = {"document.json", "figure.png", "attributions.npz", "regions.csv", "report.html"}
    names |= {"faithfulness.png", "record.json", "bundle.zip"}
    client, files = mlflow.MlflowClient(), {}
    for item in client.list_artifacts(run.info.run_id, folder):
        with open(client.download_artifacts(run.info.run_id, item.path), "rb") as file:
            files[item.path.rpartition("/")[2]] = file.read()
    assert files.keys() == names
    assert files["figure.png"].startswith(b"\x89PNG")
    assert json.loads(files["document.json"])["id"] == id_
    assert zipfile.ZipFile(BytesIO(files["bundle.zip"])).testzip() is None


def test_explanations_of_one_run_have_the_same_settings(ask, fake_worker, photo, mlflow):
    ids = [ask("submit", photo, {"seed": seed}).id for seed in (1, 1, 2)]
    for id_ in ids:
        if not ask("get", id_).done:
            fake_worker.succeed(id_)
    with mlflow.start_run() as run:
        for step, id_ in enumerate(ids[:2]):
            ask("log_mlflow", id_, step=step)
        with pytest.raises(mlflow.MlflowException, match=r"shapshot\.seed"):
            ask("log_mlflow", ids[2])
    folders = mlflow.MlflowClient().list_artifacts(run.info.run_id, "shapshot")
    assert {each.path.rpartition("/")[2] for each in folders} == set(ids[:2])


def test_what_cannot_be_logged_is_said_before_anything_is_logged(ask, photo, mlflow):
    id_ = ask("submit", photo).id
    with pytest.raises(ValueError, match=r"with mlflow\.start_run\(\)"):
        ask("log_mlflow", id_)
    with mlflow.start_run() as run:
        with pytest.raises(ValueError, match="is queued; wait"):
            ask("log_mlflow", id_)
        assert mlflow.MlflowClient().get_run(run.info.run_id).data.params == {}


def test_a_server_without_a_signing_key_has_no_record_to_log(
    asking, settings, fake_worker, new_card, photo, mlflow
):
    fake_worker.announce(new_card())
    with serving(settings.model_copy(update={"signing_key_file": None})) as url:
        id_ = asking(url, "submit", photo).id
        fake_worker.succeed(id_)
        with mlflow.start_run() as run:
            folder = asking(url, "log_mlflow", id_)
    files = mlflow.MlflowClient().list_artifacts(run.info.run_id, folder)
    names = {"document.json", "figure.png", "attributions.npz", "report.html"}
    assert {each.path.rpartition("/")[2] for each in files} == names


def test_without_mlflow_it_says_what_to_install(ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match="pip install mlflow"):
        ask("log_mlflow", "exp_" + "0" * 32)
