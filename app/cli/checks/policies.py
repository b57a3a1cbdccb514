"""Policies: the application can be made, and every route says who may call it."""

from app.cli.checks import Check, Finding
from app.cli.checks.application import application
from app.cli.report import Fault
from app.core.policy import undeclared_routes

DECLARE = "let it take CurrentUser or Superuser, or say @public"


def check() -> Check:
    try:
        routes = application().routes
    except Fault as fault:
        return Check("", [Finding(str(fault), fault.next_step or "")])
    findings = [Finding(f"{route} does not say who may call it", DECLARE) for route in undeclared_routes(routes)]
    return Check("every route says who may call it", findings)
