"""nvcomp_batch: what kvikio 23.06 to 25.08 wrote, each chunk one stream of nvCOMP. Source: `kvikio.nvcomp_codec`.

These streams are of common formats: its lz4 is that of numcodecs, its snappy and zstd are plain blocks and frames. So
the codecs of these read and write them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from gpuzarr.checks import shown
from gpuzarr.codecs import Codec, Kind
from gpuzarr.codecs.lz4 import Lz4
from gpuzarr.codecs.snappy import Snappy
from gpuzarr.codecs.zstd import Zstd
from gpuzarr.errors import MetadataError, UnsupportedError

_CODECS: dict[str, Any] = {"lz4": Lz4, "snappy": Snappy, "zstd": Zstd}


class NvcompBatch:
    """A name for `lz4`, `imagecodecs_snappy` and `zstd`, as `algorithm` says. `options` tune nvCOMP's encoder."""

    names = ("numcodecs.nvcomp_batch",)
    ids = ("nvcomp_batch",)
    kind: ClassVar[Kind] = "bytes->bytes"

    @classmethod
    def from_v2(cls, configuration: dict[str, Any]) -> Codec:
        """The codec that has the streams of `algorithm`. UnsupportedError for those that only a GPU decodes."""
        unknown = set(configuration) - {"algorithm", "options"}
        algorithm, options = configuration.get("algorithm"), configuration.get("options") or {}
        if unknown or not isinstance(algorithm, str) or not isinstance(options, dict):
            raise MetadataError(f"codec 'nvcomp_batch' takes an algorithm and options, not {shown(configuration)}")
        codec = _CODECS.get(algorithm.lower())
        if codec is None or not options.get("has_header", True):
            raise UnsupportedError(
                f"codec 'nvcomp_batch' with {shown(configuration)} is not supported: of lz4 (with its header), snappy "
                "and zstd the chunks are of a common format; read this array with kvikio 25.08, and copy it"
            )
        made: Codec = codec()
        return made

    from_v3 = from_v2


CODEC = NvcompBatch
