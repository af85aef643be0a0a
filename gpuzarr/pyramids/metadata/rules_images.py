"""What the specification of OME-Zarr demands of axes and coordinate transformations, beyond what reading needs.

Source: https://ngff.openmicroscopy.org/0.4/, 0.5/ and 0.6/, the statements with MUST, and the JSON schemas beside them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import MetadataError
from gpuzarr.pyramids.metadata.transforms import placement

STEPS, SYSTEMS = "coordinateTransformations", "coordinateSystems"
KINDS = {  # of 0.6, and what each needs: one of these members, or both
    "identity": (),
    "mapAxis": ("mapAxis",),
    "projectAxis": ("droppedInputs|createdOutputs",),
    "scale": ("scale",),
    "translation": ("translation",),
    "affine": ("affine|path",),
    "rotation": ("rotation|path",),
    "bijection": ("forward", "inverse"),
    "sequence": ("transformations",),
    "byDimension": ("transformations",),
    "displacements": ("path",),
    "coordinates": ("path",),
}
TYPES = {str: "text", bool: "true or false"}
MOST_PROJECTED, MOST_AXES = 3, 5
Systems = dict[Any, int]


def multiscale_rules(member: Any, where: str, version: str) -> Iterator[str]:
    """Sentences about what is against the specification in a member of `multiscales`."""
    if not isinstance(member, dict) or int(version[2:3] or 0) < 4:
        return
    datasets = [each for each in _listed(member.get("datasets")) if isinstance(each, dict)]
    if version[2] < "6":
        yield from _axes(member.get("axes"), f"{where}.axes")
        for i, each in enumerate(datasets):
            yield from _scale_first(each.get(STEPS), f"{where}.datasets[{i}].{STEPS}")
        if STEPS in member:
            yield from _scale_first(member[STEPS], f"{where}.{STEPS}")
        return
    systems = yield from _systems(member, where)
    for i, each in enumerate(datasets):
        yield from _level(each.get(STEPS), f"{where}.datasets[{i}].{STEPS}")
    if STEPS in member:
        yield from _between(member[STEPS], f"{where}.{STEPS}", systems)


def scene_rules(scene: dict[str, Any], where: str) -> Iterator[str]:
    """Sentences about what is against the specification in the part `scene`."""
    systems = yield from _systems(scene, where)
    yield from _between(scene.get(STEPS), f"{where}.{STEPS}", systems)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _systems(part: dict[str, Any], where: str) -> Generator[str, None, Systems]:
    """Sentences about the axes of coordinate systems; then how many axes each has, by its name."""
    found: Systems = {}
    for i, system in enumerate(_listed(part.get(SYSTEMS))):
        if isinstance(system, dict) and isinstance(system.get("name"), str):
            yield from _axes(system.get("axes"), f"{where}.{SYSTEMS}[{i}].axes")
            found[system["name"]] = len(_listed(system.get("axes")))
        else:
            yield f"{where}.{SYSTEMS}[{i}].name must be text"
    return found


def typed(part: dict[str, Any], where: str, **types: type) -> Iterator[str]:
    """Sentences about members that are not of the type they should have, if they are there."""
    for name, wanted in types.items():
        if name in part and not isinstance(part[name], wanted):
            yield f"{where}.{name} must be {TYPES[wanted]}, not {shown(part[name])}"


def _axes(value: Any, where: str) -> Iterator[str]:
    axes = [each for each in _listed(value) if isinstance(each, dict)]
    for i, axis in enumerate(axes):
        yield from typed(axis, f"{where}[{i}]", type=str, unit=str, discrete=bool, longName=str)
    if not 2 <= len(axes) <= MOST_AXES:
        yield f"{where} must have 2 to {MOST_AXES} axes, not {len(axes)}"
    count = {kind: sum(each.get("type") == kind for each in axes) for kind in ("space", "array")}
    if not 2 <= count["space"] <= 3 and count["array"] < 2:
        yield f"{where} must have two or three axes of the type 'space', not {count['space']}"


def _scale_first(value: Any, where: str) -> Iterator[str]:
    """Until 0.5: a scale, and then maybe a translation."""
    kinds = [each.get("type") if isinstance(each, dict) else None for each in _listed(value)]
    if kinds not in (["scale"], ["scale", "translation"]):
        yield f"{where} must be a scale, and maybe a translation after it, not {shown(kinds)}"


def _level(value: Any, where: str) -> Iterator[str]:
    """In 0.6: a scale, an identity, or a scale and a translation as a sequence; from the array to a system."""
    steps = _listed(value)
    if len(steps) != 1 or not isinstance(steps[0], dict):
        yield f"{where} must have one transformation, not {len(steps)}"
        return
    step, kinds = steps[0], [steps[0].get("type")]
    if kinds == ["sequence"]:
        inner = _listed(step.get("transformations"))
        kinds = [each.get("type") if isinstance(each, dict) else None for each in inner]
    if kinds not in (["scale"], ["identity"], ["scale", "translation"]):
        wanted = "a scale, an identity, or a sequence of a scale and a translation"
        yield f"{where}[0] must be {wanted}, not {shown(kinds)}"
    yield from _ends(step, f"{where}[0]", {"input": "path", "output": "name"})
    yield from _positive(step, f"{where}[0]")


def _positive(step: dict[str, Any], where: str) -> Iterator[str]:
    for each in (step, *_listed(step.get("transformations"))):
        scale = _listed(each.get("scale")) if isinstance(each, dict) else []
        if any(isinstance(factor, int | float) and factor <= 0 for factor in scale):
            yield f"{where}: a scale must be positive, not {shown(scale)}"


def _ends(step: dict[str, Any], where: str, members: dict[str, str]) -> Iterator[str]:
    """The coordinate systems from which and to which it leads, as objects since 0.6."""
    for end, member in members.items():
        found = step.get(end)
        if not isinstance(found, dict) or not isinstance(found.get(member), str):
            yield f"{where}.{end} must be an object with a {member!r}, not {shown(found)}"


def _between(value: Any, where: str, systems: Systems) -> Iterator[str]:
    """Transformations from one coordinate system to another."""
    if not isinstance(value, list) or not value:
        yield f"{where} must be a list that is not empty, not {shown(value)}"
        return
    for i, step in enumerate(value):
        if not isinstance(step, dict):
            yield f"{where}[{i}] must be an object"
            continue
        wrong = list(_ends(step, f"{where}[{i}]", {"input": "name", "output": "name"}))
        yield from wrong
        if wrong:
            continue
        for end in ("input", "output"):
            if not step[end].get("path") and step[end]["name"] not in systems:
                yield f"{where}[{i}].{end} is no coordinate system of {shown(list(systems))}: {shown(step[end])}"
        ndim = None if step["input"].get("path") else systems.get(step["input"]["name"])
        yield from _transformation(step, f"{where}[{i}]", ndim)


def _transformation(step: Any, where: str, ndim: int | None) -> Iterator[str]:
    """A transformation of `ndim` axes, if that is known, with those within it; its first fault."""
    waiting = [(step, where)]
    while waiting:
        each, place = waiting.pop()
        kind = each.get("type") if isinstance(each, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            yield f"{place} must be a transformation of a known type, not {shown(each)}"
            return
        yield from typed(each, place, path=str, name=str)
        for needed in KINDS[kind]:
            if sum(name in each for name in needed.split("|")) == 0:
                yield f"{place} needs {' or '.join(map(repr, needed.split('|')))}"
                return
        if kind == "projectAxis":
            yield from _projection(each, place)
        waiting += [(each[name], f"{place}.{name}") for name in ("forward", "inverse") if name in each]
        if kind in ("sequence", "byDimension"):
            members = list(enumerate(_listed(each["transformations"])))
            inner = [one.get("transformation") if isinstance(one, dict) else None for _, one in members]
            chosen = inner if kind == "byDimension" else [one for _, one in members]
            waiting += [(one, f"{place}.transformations[{i}]") for i, one in enumerate(chosen)]
    if ndim is not None:
        try:
            placement([step], where, ndim)
        except MetadataError as error:
            yield str(error)


def _projection(step: dict[str, Any], where: str) -> Iterator[str]:
    for name in ("droppedInputs", "createdOutputs"):
        given = step.get(name, [0])
        numbers = [one for one in _listed(given) if isinstance(one, int) and 0 <= one < MOST_AXES]
        if not 1 <= len(numbers) <= MOST_PROJECTED or len(set(numbers)) < len(_listed(given)):
            yield f"{where}.{name} must have 1 to {MOST_PROJECTED} different numbers of axes, not {shown(given)}"
