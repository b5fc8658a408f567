"""Files and media of the simulator: kept bytes, inputs read back, outputs inline, https."""

import base64
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import documented_fields as documented
import httpx
import pytest
from documented_fields import differs
from processes import BATCHRUN, PATIENCE, call, environment
from test_simulator_batches import Service

from batchrun.commands import simulate
from batchrun.errors import UsageError
from batchrun.simulator.certificates import certified
from batchrun.simulator.server import embedded
from batchrun.simulator.settings import Settings

PNG: Final = b"\x89PNG\r\n\x1a\n" + b"x" * 90
DATA: Final = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
TOOL: Final = "/v1/models/runflow/smart-resize/runs"
BRIA: Final = "/v1/models/bria/background/remove/runs"
PHOTO: Final = "https://images.example/1.png"
DAY: Final = 86_400
MANIFEST: Final = """\
models: [runflow/background-removal]
inputs:
  image_url: {$glob: "*.png"}
limits: {settle: 1s, rate: 1000/s}
poll: {interval: 50ms}
"""

Serve = Callable[..., Service]


def upload(service: Service, data: bytes = PNG, kind: str = "image/png") -> Any:
    """Take the three steps; return the asset."""
    wanted = {"filename": "shoe.png", "mime_type": kind, "size_bytes": len(data)}
    place = service.ask("POST", "/v1/asset-uploads", json=wanted).json()
    assert differs(place, documented.ASSET_UPLOAD) == []
    headers = {"Content-Type": kind, "Authorization": ""}
    assert service.ask("PUT", place["upload_url"], content=data, headers=headers).is_success
    confirmed = service.ask("POST", f"/v1/asset-uploads/{place['asset_id']}/confirmations", json={})
    assert confirmed.status_code == 201
    return confirmed.json()


def create(service: Service, path: str = TOOL, **values: Any) -> Any:
    given = {"aspect_ratio": "1:1", "resolution": "1K"} if path == TOOL else {}
    answer = service.ask("POST", path, json={"input": given | values})
    assert answer.status_code == 201, answer.text
    return answer.json()


# -- kept bytes -----------------------------------------------------------------------------


def test_an_asset_s_url_answers_the_very_bytes(serve: Serve) -> None:
    service = serve()
    asset = upload(service)

    answer = service.get(asset["url"])
    service.later(2 * DAY)
    again = service.get(f"/v1/assets/{asset['id']}").json()

    assert differs(asset, documented.ASSET) == []
    assert (answer.content, answer.headers["Content-Type"]) == (PNG, "image/png")
    assert service.get(asset["url"]).content == PNG, "it works for longer than an output's"
    service.later(6 * DAY)
    assert service.get(asset["url"]).status_code == 403
    assert service.get(again["url"]).content == PNG
    assert service.get(again["url"].replace("signature=", "signature=0")).status_code == 403


def test_what_is_beyond_the_bound_is_gone_and_says_so(serve: Serve) -> None:
    service = serve(kept_bytes=250)
    assets = [upload(service, PNG + bytes([number])) for number in range(4)]
    large = upload(service, b"x" * 251)

    statuses = [service.get(asset["url"]).status_code for asset in [*assets, large]]

    assert statuses == [410, 410, 200, 200, 410]


def test_bytes_that_are_put_again_take_the_place_of_the_first(serve: Serve) -> None:
    service = serve(kept_bytes=250)
    wanted = {"filename": "a.png", "mime_type": "image/png", "size_bytes": 200}
    place = service.ask("POST", "/v1/asset-uploads", json=wanted).json()
    headers = {"Content-Type": "image/png", "Authorization": ""}
    for fill in (b"a", b"b"):
        service.ask("PUT", place["upload_url"], content=fill * 200, headers=headers)
    path = f"/v1/asset-uploads/{place['asset_id']}/confirmations"

    asset = service.ask("POST", path, json={}).json()

    assert service.get(asset["url"]).content == b"b" * 200


def test_kept_bytes_survive_the_process(tmp_path: Path, serve: Serve) -> None:
    before = serve(tmp_path / "state.sqlite")
    asset = upload(before)
    before.world.store.close()

    after = serve(tmp_path / "state.sqlite")

    assert after.get(after.get(f"/v1/assets/{asset['id']}").json()["url"]).content == PNG


def test_the_types_that_are_taken_are_listed(serve: Serve) -> None:
    service = serve()
    types = [each["mime_type"] for each in service.get("/v1/assets/types").json()["items"]]

    assert "image/png" in types
    wanted = {"filename": "a", "mime_type": "application/x-unheard-of", "size_bytes": 1}
    assert service.ask("POST", "/v1/asset-uploads", json=wanted).status_code == 422


# -- inputs as they are read ----------------------------------------------------------------


def test_a_reference_reads_back_as_a_signed_url(serve: Serve) -> None:
    service = serve()
    asset = upload(service)

    run = create(service, image_url=f"runflow://assets/{asset['id']}")
    [listed] = service.runs()

    for shown in (run, listed, service.get(f"/v1/runs/{run['id']}").json()):
        url = shown["input"]["image_url"]
        assert url.startswith("http://simulator/assets/")
        assert service.get(url).content == PNG


def test_a_data_input_reads_back_as_a_signed_url(serve: Serve) -> None:
    service = serve()

    runs = [create(service, image_url=DATA, prompt="data: a word") for _ in range(2)]
    url = runs[0]["input"]["image_url"]
    asset_id = url.partition("?")[0].rpartition("/")[2]
    asset = service.get(f"/v1/assets/{asset_id}").json()

    assert service.get(url).content == PNG
    assert runs[0]["input"] == runs[1]["input"], "the same bytes are one asset"
    assert runs[0]["input"]["prompt"] == "data: a word"
    assert (asset["source_type"], asset["size_bytes"]) == ("run_input", len(PNG))
    assert service.world.store.one("SELECT COUNT(*) AS n FROM asset_bytes")["n"] == 1  # type: ignore[index]


def test_inputs_at_any_depth_and_in_batches_read_back_alike(serve: Serve) -> None:
    service = serve()
    asset = upload(service)
    reference = f"runflow://assets/{asset['id']}"
    given = {"image_url": DATA, "config": {"elements": [], "masks": [{"url": reference}]}}

    batch = service.post([given], path="/v1/models/runflow/dyver-removal/batches").json()
    whole = service.get(f"/v1/batches/{batch['id']}").json()["input"]
    [item] = service.get(f"/v1/batches/{batch['id']}/items").json()["items"]

    for shown in (whole[0], item["input"], item["run"]["input"]):
        for url in (shown["image_url"], shown["config"]["masks"][0]["url"]):
            assert service.get(url).content == PNG


@pytest.mark.parametrize(
    ("uri", "content"),
    [
        ("data:text/plain,a%20b", b"a b"),
        ("data:image/png;name=a.png;base64,eHk=", b"xy"),
        ("data:image/png;base64,eH%6B%3D", b"xy"),
        ("data:image/png;base64,!!", None),
    ],
)
def test_every_spelling_of_a_data_uri_is_taken(
    serve: Serve, uri: str, content: bytes | None
) -> None:
    service = serve()
    url = create(service, image_url=uri)["input"]["image_url"]

    if content is None:
        assert url == uri, "what cannot be read is left as it is"
    else:
        assert service.get(url).content == content


def test_equal_data_inputs_count_as_one_input(serve: Serve) -> None:
    service = serve()
    for expected in ("failed", "succeeded"):
        run = create(
            service, "/v1/models/runflow/object-removal/prompt/runs", image_url=DATA, prompt="flaky"
        )
        service.later(60)
        assert service.get(f"/v1/runs/{run['id']}").json()["status_code"] == expected


# -- outputs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("tag-removal", "image_urls"),
        ("product-isolation", "image_urls"),
        ("background-removal", "image_urls"),
        ("smart-resize", "outputs"),
        ("skin-fix", "outputs"),
    ],
)
@pytest.mark.parametrize("faults", [[], ["data_output"], ["old_output"]])
def test_an_output_has_the_shape_of_its_model(
    serve: Serve, model: str, shape: str, faults: list[str]
) -> None:
    service = serve(faults=faults)
    path = f"/v1/models/runflow/{model}/runs"
    run = create(service, path, image_url=PHOTO, aspect_ratio="1:1", resolution="1K")
    service.later(60)

    output = service.get(f"/v1/runs/{run['id']}").json()["output"]

    if shape == "image_urls" or faults == ["old_output"]:
        assert output.keys() == {"image_urls"}
        [url] = output["image_urls"]
    else:
        assert differs(output, documented.NORMALISED) == []
        [file] = output["outputs"]
        assert differs(file, documented.OUTPUT_FILE) == []
        url = file["url"]
    assert url.startswith("data:" if faults == ["data_output"] else "http://simulator/files/")


def test_sync_mode_puts_the_media_into_the_answer_and_into_no_list(serve: Serve) -> None:
    service = serve()
    body = {"image_url": PHOTO, "sync_mode": True}
    run = create(service, BRIA, **body)
    plain = create(service, BRIA, image_url=PHOTO)
    service.later()

    [file] = service.get(f"/v1/runs/{run['id']}").json()["output"]["outputs"]
    [other] = service.get(f"/v1/runs/{plain['id']}").json()["output"]["outputs"]
    listed = {each["id"]: each for each in service.runs()}

    assert (run["status_code"], run["output"]) == ("queued", None)
    head, _, data = file["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == service.get(other["url"]).content
    assert listed[run["id"]]["status_code"] == "succeeded"
    assert listed[run["id"]]["cost"] == "0.018"
    assert listed[run["id"]]["output"] is None
    assert listed[plain["id"]]["output"] is not None
    service.later(DAY)
    assert service.get(f"/v1/runs/{run['id']}").json()["output"] is None


def test_a_model_without_sync_mode_knows_none(serve: Serve) -> None:
    service = serve()
    run = create(service, image_url=PHOTO, sync_mode=True)
    service.later(60)

    [file] = service.get(f"/v1/runs/{run['id']}").json()["output"]["outputs"]

    assert file["url"].startswith("http://")
    assert service.runs()[0]["output"] is not None


# -- https ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_https_is_served_with_a_certificate_of_its_own() -> None:
    with certified("127.0.0.1") as tls, embedded(None, settings=Settings(), tls=tls) as url:
        trusting = ssl.create_default_context(cafile=str(tls.authority))
        wanted = {"filename": "a.png", "mime_type": "image/png", "size_bytes": len(PNG)}
        with httpx.Client(base_url=url, verify=trusting) as client:
            headers = {"Authorization": "Bearer key"}
            place = client.post("/v1/asset-uploads", json=wanted, headers=headers).json()
            put = client.put(
                place["upload_url"], content=PNG, headers={"Content-Type": "image/png"}
            )
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/v1/health", verify=True)

    assert url.startswith("https://127.0.0.1:")
    assert place["upload_url"].startswith(f"{url}/uploads/")
    assert put.status_code == 200
    assert not tls.authority.exists()


@pytest.mark.slow
def test_the_command_serves_https_and_names_the_file_to_trust(tmp_path: Path) -> None:
    words = [*BATCHRUN, "simulate", "--port", "0", "--tls", "--speed", "200"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(2)]
            [url] = re.findall(r"on (https://\S+);", said[0])
            [authority] = re.findall(r"SSL_CERT_FILE=(\S+)", said[1])
            (tmp_path / "m.yaml").write_text(MANIFEST)
            (tmp_path / "a.png").write_bytes(PNG)
            done = call(*("m.yaml", "--endpoint", url), cwd=tmp_path, SSL_CERT_FILE=authority)
            refused = call("m.yaml", "--endpoint", url, "--label", "again", cwd=tmp_path)
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)

    assert done.returncode == 0, done.stderr
    assert refused.returncode != 0
    assert "certificate" in refused.stderr
    assert not Path(authority).exists()


def test_https_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "batchrun.simulator.certificates", raising=False)
    monkeypatch.setitem(sys.modules, "trustme", None)

    with pytest.raises(UsageError, match=r"trustme is missing.*pip install '.\[simulator\]'"):
        simulate.main(["--tls", "--port", "0"])


@pytest.mark.parametrize("host", ["my_host", "a b", ""])
def test_a_host_that_no_certificate_can_name_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=f"no certificate can be made for --host {host}: "):
        simulate.main(["--tls", "--port", "0", "--host", host])


@pytest.mark.slow
def test_a_fault_on_the_wire_works_over_https() -> None:
    with certified("127.0.0.1") as tls, embedded(None, settings=Settings(), tls=tls) as url:
        trusting = ssl.create_default_context(cafile=str(tls.authority))
        with httpx.Client(
            base_url=url, verify=trusting, headers={"Authorization": "Bearer k"}
        ) as client:
            client.post("/_simulator/faults", json=["lost_answer"])
            with pytest.raises(httpx.TransportError):
                client.post(BRIA, json={"input": {"image_url": PHOTO}})
            assert len(client.get("/v1/runs").json()["items"]) == 1
