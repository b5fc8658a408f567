"""Where callbacks may be sent to, and where they are received."""

from pathlib import Path

import pytest

from batchrun.base.callback_address import Listen, parse_callback_url, parse_listen
from batchrun.base.values import HiddenValueError
from batchrun.errors import ManifestError
from batchrun.manifest.load import load_manifest


@pytest.mark.parametrize(
    "url",
    [
        "https://me.example/batchrun",
        "https://me.example",
        "https://me.example:8443/@me/hook?way=1&x=a%20b",
        "https://[2001:db8::1]/x",
        *("http://127.0.0.1:8787/x", "http://localhost", "http://[::1]:1/"),
        *("http://10.1.2.3/x", "http://192.168.0.7:8787/", "http://172.16.9.9/"),
        "https://me.example/" + "x" * (2048 - len("https://me.example/")),
    ],
)
def test_a_url_stays_as_it_is_written(url: str) -> None:
    assert parse_callback_url(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        *((each, "expected a URL") for each in ("", None, 5, "me.example/x", "https://", "x://y/")),
        *(
            (f"https://me.example/{each}", "expected a URL")
            for each in ("a b", "a\nb", "\\", "x#y")
        ),
        ("https://[::1/x", "expected a URL"),
        ("https://me.example:99999/", "expected a URL"),
        ("http://me.example/x", "plain http"),
        ("http://8.8.8.8/x", "plain http"),
        ("http://127.0.0.1.example/x", "plain http"),
        ("https://me.example/" + "x" * 2048, "at most 2,048 characters"),
    ],
)
def test_what_is_no_such_url_is_a_mistake(url: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_callback_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://someone:hunter2@me.example/", "https://someone@me.example", "someone:hunter2@h"],
)
def test_what_may_hold_a_password_is_never_shown(url: str) -> None:
    with pytest.raises(HiddenValueError) as caught:
        parse_callback_url(url)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8787", Listen("127.0.0.1", 8787)),
        ("[::1]:0", Listen("::1", 0)),
        ("my-host.example:65535", Listen("my-host.example", 65535)),
    ],
)
def test_an_address_of_this_machine_is_a_host_and_a_port(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize(
    "value", ["", ":8787", "127.0.0.1", "::1:8787", "127.0.0.1:70000", "a b:1", "h:1\n", 8787, None]
)
def test_anything_else_is_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"such as 127\.0\.0\.1:8787"):
        parse_listen(value)


def test_the_environment_may_say_them(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        'models: [a/b]\ncallbacks: {url: "https://${env:ME}/x", listen: "${env:HERE}:9000"}\n'
    )

    settings = load_manifest(path, {"ME": "me.example", "HERE": "0.0.0.0"}).settings()

    assert settings.callback_url == "https://me.example/x"
    assert settings.callback_listen == Listen("0.0.0.0", 9000)


def test_a_password_that_the_environment_holds_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text('models: [a/b]\ncallbacks: {url: "https://${env:WHO}@me.example/x"}\n')

    with pytest.raises(ManifestError) as caught:
        load_manifest(path, {"WHO": "someone:hunter2"})

    assert "hunter2" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["RUNFLOW_API_KEY", "RUNFLOW_WEBHOOK_SECRET"])
def test_no_secret_is_put_into_a_manifest(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f'models: [a/b]\ncallbacks: {{url: "https://h/${{env:{name}}}"}}\n')

    with pytest.raises(ManifestError, match="never put into a manifest") as caught:
        load_manifest(path, {name: "hunter2"})

    assert "hunter2" not in str(caught.value)
