"""What a description says against a value, and what it leaves open."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batchrun.base.local_file import LocalFile
from batchrun.catalogue.mistakes import DescribedModel, mistakes_of
from batchrun.catalogue.near_values import nearest_of
from batchrun.catalogue.rules import Kind, Wrong, wrong_with
from batchrun.runflow.descriptions import DescribedInput, Description, parse_description

FILE = LocalFile(path=Path("/a/one.png"), written="one.png", sha256="ab", size=3, mime="image/png")
ASSET = "runflow://assets/6f6f"
RATIOS = ("1:1", "2:3", "3:2", "16:9")


def of(
    kind: str | None = None, *, low: str | None = None, high: str | None = None, **rules: Any
) -> DescribedInput:
    ends = [None if end is None else Decimal(end) for end in (low, high)]
    return DescribedInput(kind=kind, low=ends[0], high=ends[1], **rules)


@pytest.mark.parametrize(
    ("described", "value"),
    [
        (of("string"), "a chair"),
        (of("string"), ""),
        (of("string"), FILE),  # it is sent as its address
        (of("integer"), 5),
        (of("integer"), -5),
        (of("integer"), 10**400),
        (of("number"), 5),
        (of("number"), 0.5),
        (of("boolean"), True),
        (of("media"), "https://a.test/one.png"),
        (of("media"), "HTTP://a.test/one.png"),
        (of("media"), "data:image/png;base64,AAAA"),
        (of("media"), ASSET),
        (of("media"), FILE),
        (of("media_list"), []),
        (of("media_list"), ["https://a.test/one.png", ASSET, FILE]),
        (of("json"), {"elements": ["tag"]}),
        (of("json"), "text"),
        (of("json"), 5),
        (of(None), {"whatever": [1]}),
    ],
)
def test_what_fits_its_type_is_right(described: DescribedInput, value: Any) -> None:
    assert wrong_with(described, value) is None


@pytest.mark.parametrize(
    ("described", "value", "said", "hint"),
    [
        (of("string"), 5, "takes text, not `5`, a number", 'write `"5"`'),
        (of("string"), True, "takes text, not `true`, a boolean", 'write `"true"`'),
        (of("string"), ["a"], "takes text, not a list", ""),
        (of("string"), {"a": 1}, "takes text, not a mapping", ""),
        (of("integer"), "5", "takes a whole number, not `5`, text", "write `5` without quotes"),
        (of("integer"), "five", "takes a whole number, not `five`, text", ""),
        (of("integer"), 2.5, "takes a whole number, not `2.5`", ""),
        (of("integer"), True, "takes a whole number, not `true`, a boolean", ""),
        (of("integer"), FILE, 'takes a whole number, not `"one.png"`, a file', ""),
        (of("integer"), "1.50", "takes a whole number, not `1.50`, text", ""),
        (of("number"), "0.5", "takes a number, not `0.5`, text", "write `0.5` without quotes"),
        (of("number"), False, "takes a number, not `false`, a boolean", ""),
        (of("boolean"), "true", "takes true or false, not `true`, text", "write `true` without"),
        (of("boolean"), 1, "takes true or false, not `1`, a number", ""),
        (of("media"), 5, "takes one address or file, not `5`, a number", ""),
        (of("media"), [ASSET], "takes one address or file, not a list", ""),
        (of("media_list"), ASSET, f"takes a list of addresses or files, not `{ASSET}`", "`[[…]]`"),
        (of("media_list"), [ASSET, 5], "takes a list of addresses or files, not a number in", ""),
    ],
)
def test_another_type_is_an_error(
    described: DescribedInput, value: Any, said: str, hint: str
) -> None:
    wrong = wrong_with(described, value)

    assert wrong is not None
    assert wrong.kind is Kind.TYPE
    assert wrong.certain
    assert said in wrong.said
    assert hint in wrong.hint if hint else wrong.hint == ""


@pytest.mark.parametrize("value", ["one.png", "", "s3://bucket/one.png", "runflow:", "http://"])
def test_text_that_is_no_address_is_no_media(value: str) -> None:
    for described, given in ((of("media"), value), (of("media_list"), [ASSET, value])):
        wrong = wrong_with(described, given)

        assert wrong is not None
        assert wrong.kind is Kind.MEDIA
        assert wrong.hint == f"a local file is `{{$file: {value}}}`"
        assert wrong.column == "files"


def of_ratio(value: Any, **rules: Any) -> Wrong | None:
    return wrong_with(of("string", allowed=RATIOS, **rules), value)


def test_what_a_list_lacks_is_an_error_with_the_list_and_the_nearest() -> None:
    wrong = of_ratio("16:10")

    assert wrong is not None
    assert (wrong.kind, wrong.certain) == (Kind.NOT_ALLOWED, True)
    assert wrong.said == "doesn't take `16:10`"
    assert wrong.hint == "it takes `1:1`, `2:3`, `3:2`, `16:9`; did you mean `16:9`?"


@pytest.mark.parametrize("value", RATIOS)
def test_what_a_list_has_is_right_whatever_else_is_said(value: str) -> None:
    assert of_ratio(value) is None
    assert wrong_with(of("integer", allowed=RATIOS, high="0"), value) is None


def test_the_default_is_right_though_the_list_lacks_it() -> None:
    assert of_ratio("auto", default="auto") is None
    assert of_ratio("auto", default="1:1") is not None


@pytest.mark.parametrize(
    "says",
    [
        "One of the list, or any other ratio.",
        "`16:10` needs more time",
        "auto also works; 16:10, too",
        "a custom one, W x H",
        "WxH",
        "e.g. 1:1",
        "a ratio such as 1:1",
        "1:1, 2:3 etc.",
    ],
)
def test_a_text_that_is_wider_than_its_list_makes_it_a_warning(says: str) -> None:
    wrong = of_ratio("16:10", says=says)

    assert wrong is not None
    assert not wrong.certain


@pytest.mark.parametrize("says", ["", "The ratio of the image.", "116:10 or 16:100 or 16:10:1"])
def test_a_text_that_says_no_more_leaves_it_an_error(says: str) -> None:
    wrong = of_ratio("16:10", says=says)

    assert wrong is not None
    assert wrong.certain


def test_a_number_is_not_the_text_that_spells_it_nor_a_boolean() -> None:
    lengths = of(None, allowed=("4", "5"))

    wrong = wrong_with(lengths, 5)

    assert wrong is not None
    assert 'did you mean `"5"`?' in wrong.hint
    assert wrong_with(of(None, allowed=(0, 1)), True) is not None
    assert wrong_with(of(None, allowed=(1,)), 1.0) is None


def test_a_list_of_plain_values_says_nothing_of_lists_and_files() -> None:
    assert wrong_with(of("json", allowed=("a",)), ["b"]) is None
    assert wrong_with(of("string", allowed=("a",)), FILE) is None


def test_of_a_long_list_the_first_values_are_named() -> None:
    wrong = wrong_with(of("integer", allowed=tuple(range(30))), 77)

    assert wrong is not None
    assert wrong.hint.endswith("`10`, `11` and 18 more; did you mean `29`?")


@pytest.mark.parametrize(
    ("value", "allowed", "near"),
    [
        ("3", ("auto", "4", "13"), "4"),
        (100, (1, 4, 64), 64),
        ("1k", ("0.5K", "1K", "2K"), "1K"),
        ("16:10", ("1:1", "3:2", "16:9"), "16:9"),
        ("5:3", ("1:1", "3:2", "16:9"), "16:9"),
        ("1024x800", ("auto", "1536x1024", "1024x1536", "1024x1024"), "1024x1024"),
        ("0:0", ("16:9", "auto"), None),
        ("hihg", ("low", "medium", "high"), "high"),
        ("zebra", ("low", "high"), None),
        ("5", ("low", "high"), None),
        (True, (1, 2), None),
    ],
)
def test_the_value_that_was_meant(value: Any, allowed: tuple[Any, ...], near: Any) -> None:
    assert nearest_of(value, allowed) == near


@pytest.mark.parametrize(
    ("described", "value", "said"),
    [
        (of("integer", low="1", high="4"), 7, "takes 1 to 4, not `7`"),
        (of("integer", low="1"), 0, "takes at least 1, not `0`"),
        (of("number", high="0.1"), 0.2, "takes at most 0.1, not `0.2`"),
        (of(None, high="3"), 4, "takes at most 3, not `4`"),
        (of("string", low="3", high="5"), "ab", "takes 3 to 5 characters, not the 2 of `ab`"),
        (of(None, high="1"), "ab", "takes at most 1 characters, not the 2 of `ab`"),
        (of("string", low="2", high="2"), "abc", "takes exactly 2 characters, not the 3 of `abc`"),
        (of("media_list", low="1"), [], "takes at least 1 items, not 0"),
        (of("json", high="1"), [1, 2], "takes at most 1 items, not 2"),
    ],
)
def test_what_is_beyond_its_bounds_is_an_error(
    described: DescribedInput, value: Any, said: str
) -> None:
    wrong = wrong_with(described, value)

    assert wrong is not None
    assert wrong.kind is Kind.RANGE
    assert wrong.certain
    assert wrong.said == said


@pytest.mark.parametrize(
    ("described", "value"),
    [
        (of("integer", low="1", high="4"), 1),
        (of("integer", low="1", high="4"), 4),
        (of("number", high="0.1"), 0.1),  # as a float it is a little more than 0.1
        (of("string", low="3", high="3"), "äöü"),
        (of("media", high="30"), "https://a.test/a-longer-address-than-thirty.png"),  # megabytes?
        (of("media", high="30"), FILE),
        (of("string", high="3"), FILE),
        (of("json", high="1"), {"a": 1, "b": 2}),
        (of("json", high="1"), "text"),
        (of("boolean", low="5"), True),
    ],
)
def test_bounds_speak_of_numbers_characters_and_items_alone(
    described: DescribedInput, value: Any
) -> None:
    assert wrong_with(described, value) is None


def test_null_is_a_mistake_only_where_the_input_is_needed() -> None:
    assert wrong_with(of("integer", allowed=(1,)), None) is None
    assert wrong_with(of("integer", required=True, default=1), None) is None

    wrong = wrong_with(of("integer", required=True), None)

    assert wrong is not None
    assert wrong.kind is Kind.MISSING


# One cell.

MODEL = Description(
    inputs={
        "prompt": of("string", required=True, low="1"),
        "aspect_ratio": of("string", allowed=RATIOS, required=True, default="1:1"),
        "seed": of("integer"),
    }
)


def kinds(description: Description, sent: dict[str, Any]) -> list[tuple[str, Kind]]:
    return [(each.name, each.kind) for each in mistakes_of(description, sent)]


def test_each_input_of_a_cell_is_looked_at_and_so_are_their_names() -> None:
    sent = {"promt": "a chair", "aspect_ratio": "16:10", "seed": "7"}

    assert kinds(MODEL, sent) == [
        ("promt", Kind.UNKNOWN),
        ("prompt", Kind.MISSING),
        ("aspect_ratio", Kind.NOT_ALLOWED),
        ("seed", Kind.TYPE),
    ]
    assert mistakes_of(MODEL, sent)[0].wrong.hint == "did you mean `prompt`?"


def test_what_has_a_default_may_be_left_out() -> None:
    assert kinds(MODEL, {"prompt": "a chair"}) == []


def test_an_unknown_name_that_is_near_to_none_is_answered_with_all_there_are() -> None:
    wrong = mistakes_of(MODEL, {"prompt": "a chair", "negative": 1})[0].wrong

    assert wrong.hint == "it takes `prompt`, `aspect_ratio`, `seed`"


def test_a_description_without_inputs_says_nothing() -> None:
    assert kinds(Description(), {"anything": 1}) == []


def test_equal_values_of_two_types_are_two_values() -> None:
    flags = Description(inputs={"on": of("boolean"), "n": of("integer")})

    assert kinds(flags, {"on": True, "n": 1}) == []
    assert kinds(flags, {"on": 1, "n": True}) == [("on", Kind.TYPE), ("n", Kind.TYPE)]


def test_a_value_that_was_looked_at_speaks_for_no_other() -> None:
    model = DescribedModel(Description(inputs={"n": of("integer")}))

    found = [model.mistake("n", value) is None for value in (1, True, "1", 1.5, [1], 1, 0, False)]

    assert found == [True, False, False, False, False, True, True, False]


def test_what_is_not_understood_of_a_description_is_no_rule() -> None:
    body = {
        "inputs": [
            {
                "name": "size",
                "variable_type_code": "dimension",
                "validator_code": "regex",
                "validator_attrs": {"pattern": "^\\d+$", "min": "three", "step": 8},
                "is_required": "yes",
            }
        ]
    }

    assert kinds(parse_description(body), {"size": "large"}) == []
    assert kinds(parse_description(body), {}) == []


def read(kind: str, **attributes: Any) -> DescribedInput:
    body = {"name": "it", "variable_type_code": kind, "validator_attrs": attributes}
    return parse_description({"inputs": [body]}).inputs["it"]


@pytest.mark.parametrize(
    ("described", "value"),
    [
        (read("image", allowed_formats=["png", "jpg"]), ASSET),
        (read("image", allowed=["image/png"]), ASSET),
        (read("string", min=4, max=15), "5"),
        (read("string", min=4, max=15), "8s"),
        (read("string", min_value=4, max_value=15), "5"),
        (read("integer", max_length=3), 1024),
        (read("integer", min=10, max=1), 5),
        (read("integer", enum=["1", "2"]), 1),
        (read("boolean", enum=["true", "false"]), True),
        (read("string", enum=[4, 5]), "5"),
        (read("number", enum=["0.5"]), 0.5),
    ],
)
def test_a_rule_of_another_thing_rules_no_value_out(described: DescribedInput, value: Any) -> None:
    assert wrong_with(described, value) is None


@pytest.mark.parametrize(
    ("described", "value"),
    [
        (read("integer", range=[0, 255]), 100),
        (read("string", examples=["a cat"]), "a chair"),
        (read("string", forbidden=["nsfw"]), "a chair"),
        (read("string", allowed=["a"], values=["b"]), "b"),
        (read("string", min=4, max=15), "30"),
    ],
)
def test_a_rule_that_may_be_of_another_thing_is_a_warning(
    described: DescribedInput, value: Any
) -> None:
    wrong = wrong_with(described, value)

    assert wrong is not None
    assert not wrong.certain


@pytest.mark.parametrize(
    "name",
    ["enum", "allowed", "allowed_values", "values", "options", "choices", "oneOf", "enum_values"],
)
def test_a_list_whose_name_says_what_is_allowed_is_certain(name: str) -> None:
    wrong = wrong_with(read("string", **{name: ["a", "b"], "range": ["x"]}), "x")

    assert wrong is not None
    assert wrong.certain


def test_of_a_description_with_inputs_that_cannot_be_read_an_unknown_one_is_a_warning() -> None:
    body = {"inputs": [{"name": "prompt"}, {"title": "Seed"}]}

    (mistake,) = mistakes_of(parse_description(body), {"seed": 1})

    assert mistake.kind is Kind.UNKNOWN
    assert not mistake.wrong.certain
