"""Errors as the REST API shows them: JSON, per field where a field is to blame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from carts.setup import SetupErrors


class Conflict(APIException):
    """The request is well-formed, but the thing is not in a state in which this can be done."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class BodyTooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"

    def __init__(self) -> None:
        megabytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // (1024 * 1024)
        super().__init__(f"The request is too large: send at most {megabytes} MB at once.")


def answer_to(error: Exception, context: dict[str, Any]) -> Response | None:
    """How errors are answered: as usual, and a body that is too large in JSON as well."""
    return exception_handler(BodyTooLarge() if isinstance(error, RequestDataTooBig) else error, context)


class ProblemSerializer(serializers.Serializer):
    """Why a request was refused."""

    detail = serializers.CharField()


def as_validation_error(error: SetupErrors) -> ValidationError:
    """``{"options": {"vend_url": "..."}}`` -> the same with each text in a list, as all field errors are."""
    return ValidationError({name: in_lists(value) for name, value in error.errors.items()})


def in_lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: in_lists(inner) for name, inner in value.items()}
    return [str(value)]


@contextmanager
def conflicts_told(**errors: str) -> Iterator[None]:
    """Two requests that store the same thing at the same moment: the second one gets these field errors."""
    try:
        yield
    except IntegrityError as error:
        raise ValidationError(in_lists(errors)) from error
