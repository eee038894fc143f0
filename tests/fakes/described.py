"""Holds answers of the API against what the API says of itself."""

import json
import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator

Json = dict[str, Any]


class Described:
    """An OpenAPI description. Answers with a key that it does not name are wrong too."""

    def __init__(self, document: Json) -> None:
        # A copy that is stricter: for others the door is left open to keys that come later.
        self.document: Json = json.loads(json.dumps(document))
        for schema in self.document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
            if "properties" in schema:
                schema["additionalProperties"] = False

    def check(self, answer: httpx.Response) -> None:
        """Hold an answer against its description; any other path is answered with an error."""
        method, status = answer.request.method.lower(), str(answer.status_code)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        if method == "head":
            return
        responses = self._responses(answer.request.url.path, method)
        told = responses.get(status) if responses else None
        schema = {"$ref": "#/components/schemas/ErrorAnswer"}
        if told is not None:
            schema = told["content"]["application/json"]["schema"]
            for name, header in told.get("headers", {}).items():
                self.hold(answer.headers[name], header["schema"])
        else:
            assert status in ("404", "405"), f"{method} {answer.request.url.path} {status} is not described"
        self.hold(answer.json(), schema)

    def _responses(self, path: str, method: str) -> Json | None:
        for template, operations in self.document["paths"].items():
            if re.fullmatch("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", template))), path):
                found: Json | None = operations.get(method, {}).get("responses")
                return found
        return None

    def hold(self, value: object, schema: Json) -> None:
        whole = {"components": self.document["components"], **schema}
        Draft202012Validator(whole).validate(value)
