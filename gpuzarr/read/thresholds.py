"""What decides between the two kinds of work, and how large each piece of it is. Measured on 2 cores."""

MAX_REGION_CHUNKS = 64  # a region of so few chunks is read chunk by chunk, if they have
MAX_REGION_BYTES = 1 << 24  # decoded, all of them,
MIN_REGION_CHUNK_BYTES = 1 << 14  # and each; smaller ones are sooner decoded together, if there are more of them
MAX_FEW_CHUNKS = 16  # than so many of a region, for which the preparations of a batch take longer than all else
MIN_LONE_CHUNK_BYTES = 1 << 18  # decoded bytes of chunks that are read chunk by chunk, however many there are
MIN_THREAD_BYTES = 1 << 18  # decoded bytes; less are not worth a second thread
MIN_PLACED_BYTES = 1 << 22  # of chunks that a cache has; to place less is not worth a second thread
UPLOAD_SLICE_BYTES = 1 << 25  # stored bytes of a batch that a GPU is sent at once, while the next ones are read
MAX_PIECE_CHUNKS = 16  # of the chunks that are read one by one, those that a thread takes at once,
MIN_FETCHED_BYTES = 1 << 23  # decoded, of chunks that are fetched together where requests take long, and then decoded,
MAX_FETCHED_BYTES = 1 << 26  # while others are fetched,
MAX_COMING_BYTES = 1 << 28  # and of all that are fetched or decoded
FETCHES = 8  # of a read, at least, so that fetching and decoding overlap
MIN_PIECES = 32  # and how many pieces there are, so that all threads end at about the same time
