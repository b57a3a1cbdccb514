"""What `docker compose -f ... -f ...` makes of its files, as far as ours need it (docs.docker.com, "Merge")."""

from typing import Any

import yaml

from tests.processes import ROOT


def merged(*files: str) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for file in files:
        whole = _over(whole, yaml.safe_load((ROOT / file).read_text()))
    for service in whole["services"].values():
        if isinstance(service.get("networks"), list):
            service["networks"] = dict.fromkeys(service["networks"])
    return whole


def _over(below: Any, above: Any, name: str = "") -> Any:
    """Mappings are merged, volumes by where they are mounted; ports are added; commands and the rest are replaced."""
    if name == "networks":
        below, above = (dict.fromkeys(part) if isinstance(part, list) else part for part in (below, above))
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _over(below.get(key), value, key) for key, value in above.items()}
    if name == "volumes" and isinstance(below, list):
        return list({volume.split(":")[1]: volume for volume in below + above}.values())
    if name == "ports" and isinstance(below, list):
        return below + above
    return above
