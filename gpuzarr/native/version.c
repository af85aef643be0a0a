#include "native.h"

// Compared with VERSION of __init__.py: a library that was compiled from other sources is not used.
EXPORT i64 gpuzarr_version(void)
{
    return 23;
}
