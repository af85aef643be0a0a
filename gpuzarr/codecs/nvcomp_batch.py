"""nvcomp_batch: chunks that kvikio 23.06 to 25.08 compressed by nvCOMP. Source: `kvikio.nvcomp_codec`.

Their formats are common ones: lz4 as in numcodecs, raw snappy, and zstd frames. So the codecs of these formats read and
write them.
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
    """An alias of the codec that `algorithm` names: `lz4`, `snappy` or `zstd`. `options` have no effect, except that
    chunks without nvCOMP's header are refused."""

    names = ("numcodecs.nvcomp_batch",)
    ids = ("nvcomp_batch",)
    kind: ClassVar[Kind] = "bytes->bytes"

    @classmethod
    def from_v2(cls, configuration: dict[str, Any]) -> Codec:
        """The codec for the streams of `algorithm`. UnsupportedError where none of ours has them."""
        unknown = set(configuration) - {"algorithm", "options"}
        algorithm, options = configuration.get("algorithm"), configuration.get("options") or {}
        if unknown or not isinstance(algorithm, str) or not isinstance(options, dict):
            raise MetadataError(f"codec 'nvcomp_batch' takes an algorithm and options, not {shown(configuration)}")
        codec = _CODECS.get(algorithm.lower())
        if codec is None or not options.get("has_header", True):
            raise UnsupportedError(
                f"codec 'nvcomp_batch' with {shown(configuration)} is not supported: only chunks of lz4 (with its "
                "header), snappy and zstd are in a common format; read this array with kvikio 25.08, and copy it"
            )
        made: Codec = codec()
        return made

    from_v3 = from_v2


CODEC = NvcompBatch
