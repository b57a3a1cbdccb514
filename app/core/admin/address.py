"""Where the admin is."""

from fastapi import Request


def address(request: Request) -> str:
    """Its path, as browsers know it."""
    return f"{request.scope.get('root_path', '')}/admin"
