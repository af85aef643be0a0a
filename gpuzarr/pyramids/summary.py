"""How an image shows itself: in a line, as text, and in a notebook. No chunk is read for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuzarr.nodes.html import page, size, table, text, told, version

if TYPE_CHECKING:
    from gpuzarr.pyramids.image import Image


def as_text(image: Image) -> str:
    """The image in a line."""
    place = f"{image.group.store!r}" + (f" {image.group.path!r}" if image.group.path else "")
    kind = "labels" if image.is_labels else "image"
    facts = f"{'x'.join(map(str, image.shape))} {image.dtype} axes={','.join(image.axes)} levels={len(image.levels)}"
    return f"<gpuzarr.ome.Image {place} {kind} {facts} version={image.version}>"


def info(image: Image) -> dict[str, Any]:
    """Facts about an image, as plain values."""
    return {
        "name": image.name,
        "version": image.version,
        "type": "labels" if image.is_labels else "image",
        "axes": list(image.axes),
        "units": list(image.units),
        "dtype": str(image.dtype),
        "method": image.method,
        "levels": [
            {"path": each.path, "shape": list(level.shape), "scale": listed(each.scale), "nbytes": level.nbytes}
            | {"translation": listed(each.translation)}
            for each, level in zip(image.multiscale.datasets, image.levels, strict=True)
        ],
    }


def listed(values: Any) -> list[float] | None:
    """A vector as a list; None stays."""
    return None if values is None else list(values)


def as_html(image: Image) -> str:
    """The image in a notebook: a table of facts, and one of its levels."""
    facts = table(
        [
            ("Store", told(lambda: image.group.store)),
            ("Format", told(lambda: f"OME-Zarr {image.version}, {version(image.group)}")),
            ("Axes", told(lambda: ", ".join(map(_axis, image.axes, image.units)))),
            ("Type", told(lambda: f"{image.dtype}{', labels' if image.is_labels else ''}")),
            ("Reduced by", told(lambda: image.method)),
        ]
    )
    rows = [(each.path, _level(image, i)) for i, each in enumerate(image.multiscale.datasets)]
    return page(f"gpuzarr.ome.Image {text(image.name)}", facts + table(rows))


def _axis(name: str, unit: str | None) -> str:
    return name if unit is None else f"{name} ({unit})"


def _level(image: Image, index: int) -> str:
    level, scale = image.levels[index], image.scales[index]
    voxel = "no scale" if scale is None else f"voxel {' x '.join(f'{each:g}' for each in scale)}"
    return text(f"{' x '.join(map(str, level.shape))}, {voxel}, {size(level.nbytes)}")
