"""What decides between the two kinds of work, and how much is done at once. Measured on 2 cores."""

MIN_LONE_CHUNK_BYTES = (
    1 << 17
)  # of chunks that are written one by one; more of smaller ones are sooner encoded together
MAX_CPU_BATCH_BYTES = 4 << 20  # smaller batches take more Python, larger ones leave threads without work
MAX_LISTED_CHUNKS = 1024  # whose keys are made at once
MAX_LOCKED_CHUNKS = 64  # covered in part, whose locks are held at once
MAX_LOCKED_SHARDS = 8
MAX_OPEN_SHARDS = 64  # of a writer
MAX_PACKED_CHUNK_BYTES = 1 << 16  # mean of inner chunks that are packed into one piece before they are stored
MAX_COPIED_BYTES = 8 << 20  # of inner chunks that are copied at once as they are stored
MAX_WAITING_REGIONS = 256  # of a writer, for their neighbours
MAX_FETCHED_BYTES = 128 << 20  # decoded, of objects covered in part that are fetched whole, all at once
MAX_SPARED_BYTES = 4 << 20  # of a shard that are fetched though they are overwritten: as long as two more requests take
MAX_WAITING_BYTES = 256 << 20  # decoded, that threads of a CPU hold while they wait for a store
WAITING_THREADS = 6  # at least, beside those that encode batches
