"""Valid bodies, made from the schemas of the application's own OpenAPI document."""

import uuid
from typing import Any

from fastapi import FastAPI

from tests.factories import PASSWORD, email


class Schemas:
    def __init__(self, app: FastAPI) -> None:
        self.document = app.openapi()

    def operation(self, method: str, path: str) -> dict[str, Any]:
        return self.document["paths"][path][method.lower()]

    def body_schema(self, method: str, path: str) -> dict[str, Any] | None:
        """The schema of an operation's JSON body, or None."""
        content = self.operation(method, path).get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        return None if schema is None else self.resolve(schema)

    def body(self, method: str, path: str) -> dict[str, Any] | None:
        """A valid body with every field, or None for an operation without one."""
        schema = self.body_schema(method, path)
        return None if schema is None else self.sample(schema)

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def sample(self, schema: dict[str, Any]) -> Any:
        schema = self.resolve(schema)
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        if "anyOf" in schema:
            return self.sample(next(part for part in schema["anyOf"] if part.get("type") != "null"))
        return getattr(self, f"_{schema.get('type', 'object')}")(schema)

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {name: self.sample(part) for name, part in schema.get("properties", {}).items()}

    def _array(self, schema: dict[str, Any]) -> list[Any]:
        return [self.sample(schema.get("items", {"type": "string"}))]

    def _string(self, schema: dict[str, Any]) -> str:
        formats = {
            "email": email(),
            "password": PASSWORD,
            "uuid": str(uuid.uuid4()),
            "date": "2026-01-02",
            "date-time": "2026-01-02T03:04:05Z",
            "uri": "https://example.com/",
        }
        text = formats.get(schema.get("format", ""), "sample")
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]

    def _integer(self, schema: dict[str, Any]) -> int:
        return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)

    def _number(self, schema: dict[str, Any]) -> float:
        return float(self._integer(schema))

    def _boolean(self, _schema: dict[str, Any]) -> bool:
        return True
