"""The API's refusals, in its envelope (pure)."""

from collections.abc import Mapping, Sequence
from typing import Any


class ApiError(Exception):
    """An answer with an error status; *body* is the documented envelope."""

    def __init__(
        self,
        http_status: int,
        code: str,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.headers = dict(headers or {})
        self.body = {"code": code, "message": message, "errors": errors}


def invalid(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    return ApiError(422, "VALIDATION_ERROR", "Validation failed", errors=errors)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BAD_REQUEST", message)
