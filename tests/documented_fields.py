"""The fields that the API's documents name, object by object (fact sheet, sections 6, 8, 9 and 12).

An answer has every one of them, and may have more.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final


def _date(value: Any) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).utcoffset() is not None


def _id(value: Any) -> bool:
    return isinstance(value, str) and str(uuid.UUID(value)) == value


KINDS: Final[Mapping[str, Any]] = {
    "id": _id,
    "text": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "bool": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "date": _date,
    "money": lambda value: isinstance(value, str) and re.fullmatch(r"[+-]?\d*\.?\d*", value),
    "any": lambda value: True,
}


def _table(**kinds: str) -> dict[str, str]:
    """Return the kind of each field; one that may be null is spelled `kind?`."""
    return {
        name: kind.replace("_or_null", "?")
        for kind, names in kinds.items()
        for name in names.split()
    }


RUN: Final = _table(
    id="id org_id created_by",
    id_or_null="flow_id model_id comfyui_workflow_id flow_version_id resolved_template_id batch_id "
    "source_chat_message_id",
    text="status_code target_type target_version source_code",
    text_or_null="client_ref jurisdiction_code request_id callback_url failure_code "
    "failure_message failure_stage_code feedback_reason",
    object="input",
    object_or_null="output context metadata links cost_breakdown current_evaluation_summary flow",
    int="nodes_total nodes_completed",
    int_or_null="duration_ms",
    money_or_null="cost",
    date="created_at",
    date_or_null="started_at completed_at",
    bool="has_logs has_node_runs",
    bool_or_null="feedback_is_positive",
    list_or_null="node_runs logs",
)
NODE_RUN: Final = _table(
    id="id run_id node_id flow_id",
    text="state_code input_signature",
    text_or_null="preview_type preview_value error_message",
    object_or_null="input output",
    int="retry_count",
    int_or_null="duration_ms",
    money_or_null="cost",
    date="created_at",
    date_or_null="started_at completed_at",
)
LOG_LINE: Final = _table(
    id="id run_id",
    text="level_code message",
    date="timestamp",
    object_or_null="meta run",
)
NORMALISED: Final = _table(list="outputs", any="seed timing nsfw_detected")
OUTPUT_FILE: Final = _table(text="url type", int_or_null="width height")
BATCH_CREATED: Final = _table(
    id="id target_id",
    text="target_type status_code",
    int="items_total items_succeeded items_failed items_cancelled",
    list="items",
    date="created_at",
    date_or_null="started_at completed_at",
    object_or_null="output metadata",
    money_or_null="cost",
    text_or_null="callback_url",
)
BATCH: Final = BATCH_CREATED | _table(
    id="org_id created_by",
    text="target_type_code source_code",
    list="input",
    id_or_null="resolved_template_id dispatch_provider_link_id",
    int_or_null="duration_ms",
    text_or_null="failure_code failure_message failure_stage_code",
    object_or_null="links",
)
BATCH_HANDLE: Final = _table(
    id="id",
    int="sequence_index",
    id_or_null="run_id",
    text="status_code",
    text_or_null="client_ref",
)
BATCH_ITEM: Final = BATCH_HANDLE | _table(
    id="batch_id",
    date="created_at",
    object="input",
    money_or_null="cost",
    object_or_null="output error run",
    date_or_null="started_at completed_at",
)
DELIVERY: Final = _table(
    id="id",
    text="callback_url payload_bytes status_code",
    object="payload",
    id_or_null="signing_secret_id",
    bool="is_automatic",
    text_or_null="failure_reason_code failure_detail",
    int="attempt_count max_attempts",
    date="created_at updated_at",
    date_or_null="next_attempt_at completed_at",
    list="attempts",
)
RUN_DELIVERY: Final = DELIVERY | {"run_id": "id"}
BATCH_DELIVERY: Final = DELIVERY | {"batch_id": "id"}
CALLBACK: Final = _table(
    text="event status",
    object_or_null="output metadata",
    int_or_null="duration_ms",
    date="created_at",
    date_or_null="completed_at",
)
RUN_CALLBACK: Final = CALLBACK | {"run_id": "id"}
BATCH_CALLBACK: Final = CALLBACK | {"batch_id": "id", "output": "object"}
BATCH_CALLBACK_OUTPUT: Final = _table(list="items", int="succeeded failed cancelled total")
SECRET: Final = _table(
    id="id org_id",
    text="plain_secret key_prefix",
    bool="is_current",
    text_or_null="label",
    date="created_at updated_at",
    date_or_null="disabled_at last_used_at",
)
MODEL: Final = _table(
    id="id model_creator_id",
    id_or_null="org_id family_id created_by deleted_by",
    text="slug name",
    text_or_null="description version icon_url cover_url category_code status_code "
    "family_variant_code architecture license_code paper_url github_url availability_status "
    "pricing_note",
    bool="is_public is_open_source lora_support fine_tuning supports_streaming is_official",
    any="param_count max_resolution seo content",
    list="notable_features inputs outputs",
    date="created_at updated_at",
    date_or_null="deleted_at",
)
MODEL_INPUT: Final = _table(
    id="id model_id",
    text="name variable_type_code",
    text_or_null="display_name description default_behavior_code validator_code",
    object_or_null="validator_attrs",
    bool="is_required is_featured",
    any="default_value",
    int="sort_order",
    date="created_at updated_at",
)
EXAMPLE: Final = _table(id="id", object="input output", money="cost", int="duration_ms")
ASSET_UPLOAD: Final = _table(id="asset_id", text="upload_url")
ASSET: Final = _table(
    id="id org_id created_by",
    id_or_null="folder_id deleted_by",
    text="name r2_key url mime_type asset_type source_type",
    text_or_null="thumbnail_url source_id",
    int="size_bytes",
    date="created_at updated_at",
    date_or_null="deleted_at",
    object_or_null="created_by_user",
)
BALANCE: Final = _table(
    id="id org_id",
    money="balance",
    money_or_null="low_balance_threshold",
    date_or_null="low_balance_notified_at",
    date="created_at updated_at",
)
PAGE: Final = _table(list="items", text_or_null="first next previous")
ERROR: Final = _table(text="code message", list_or_null="errors")


def differs(body: Any, fields: Mapping[str, str]) -> list[str]:
    """Return what a JSON object lacks of these *fields*, or has otherwise."""
    found = []
    for name, kind in fields.items():
        if name not in body:
            found.append(f"{name} is missing")
        elif body[name] is None:
            found += [] if kind.endswith("?") or kind == "any" else [f"{name} is null"]
        elif not _is(body[name], kind.removesuffix("?")):
            found.append(f"{name} is {body[name]!r}, expected {kind}")
    return found


def _is(value: Any, kind: str) -> bool:
    try:
        return bool(KINDS[kind](value))
    except ValueError:
        return False
