"""What the API says of itself, in OpenAPI 3.1: made from the answers, so that both stay the same. Pure."""

from typing import Any

import msgspec

from bot import __version__
from bot.backend.profile import ProfileSettings
from bot.home.answers import SCHEMAS, DeviceAnswer, ErrorAnswer, ProfileAnswer

Json = dict[str, Any]

_ANSWERS = (DeviceAnswer, ProfileAnswer, ProfileSettings, ErrorAnswer)
_SETTINGS = (
    "Every setting of the version, those first that the service's profile has no key for; null where"
    " nothing was given. mdm_url null is the address of the enrollment token; service_profile has what was"
    " sent."
    " Certificates are base64 DER."
)


def document() -> Json:
    """Return the description of the whole API."""
    _, schemas = msgspec.json.schema_components(_ANSWERS, ref_template=SCHEMAS)
    schemas[ProfileSettings.__name__]["description"] = _SETTINGS
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "enrollbot",
            "version": __version__,
            "description": "What the bot knows of devices and enrollment profiles, for your MDM server."
            " Nothing can be changed here. Keys may be added; those that there are keep their meaning.",
        },
        "servers": [{"url": "/"}],
        "security": [{"apiToken": []}],
        "paths": {
            "/api/v1/devices/{serial}": _reads(
                "getDevice",
                "A device by its serial number",
                DeviceAnswer,
                _in_path("serial", "The serial number, in capitals or not.", "C02EXAMPLE1"),
            ),
            "/api/v1/profiles/{uuid}": _reads(
                "getProfile",
                "A version of a profile by its UUID",
                ProfileAnswer,
                _in_path(
                    "uuid", "With or without dashes, in capitals or not.", "88FC4E378FEA4021A94B2D7268FBF767"
                ),
            ),
            "/api/v1/openapi.json": _describes(),
        },
        "components": {
            "schemas": {name: _complete(schema) for name, schema in schemas.items()},
            "securitySchemes": {
                "apiToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The secret that enrollbot api-token add NAME shows.",
                }
            },
        },
    }


def _reads(operation: str, summary: str, answer: type[msgspec.Struct], parameter: Json) -> Json:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "parameters": [parameter],
            "responses": {
                "200": _response("It is known here.", answer),
                "401": _response("No API token, or one that is not known or was revoked.", ErrorAnswer)
                | {"headers": {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}}},
                "404": _response("Not known here, or not for this API token.", ErrorAnswer),
                "500": _response("Something went wrong; the bot's log has the reason.", ErrorAnswer),
            },
        }
    }


def _describes() -> Json:
    described = {"schema": {"type": "object"}}
    return {
        "get": {
            "operationId": "getDescription",
            "summary": "This description",
            "security": [],
            "responses": {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": described}}},
        }
    }


def _in_path(name: str, description: str, example: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _response(description: str, answer: type[msgspec.Struct]) -> Json:
    schema = {"$ref": SCHEMAS.format(name=answer.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _complete(schema: Json) -> Json:
    """An answer has every key, also those that a profile may be made without."""
    if "properties" not in schema:
        return schema
    plain = {
        name: {k: v for k, v in of.items() if k != "default"} for name, of in schema["properties"].items()
    }
    return schema | {"properties": plain, "required": list(plain)}
