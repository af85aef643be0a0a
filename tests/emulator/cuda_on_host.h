// Just enough CUDA to run a kernel on the CPU: one block at a time, one fiber per thread.
// The test harness includes this before a .cu file; the .cu file itself knows nothing of it.
//
// Fibers are made by ucontext and switched by setjmp, which needs no system call; by that of the compiler, which saves
// no more than the stack's and the frame's address. The next block, and the next launch, reuse them.
//
// A warp runs ahead until it waits at __syncthreads, then the next warp runs. `seed` picks the
// order of warps and of lanes (0: forward, -1: backward, else shuffled), so a result that needs
// a missing barrier changes with the seed.
#pragma once
#include <setjmp.h>
#include <ucontext.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
// <random>, <memory> and <functional> would take as long to compile as a kernel does.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __constant__ static
#define __shared__ static

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
using Place = jmp_buf;
#define SAVED(place) _setjmp(place)
#define GO_TO(place) _longjmp(place, 1)
#else
using Place = void*[5];
#define SAVED(place) __builtin_setjmp(place)
#define GO_TO(place) __builtin_longjmp(place, 1)
#endif

struct dim3 { unsigned x, y, z; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline dim3 blockIdx, blockDim, gridDim;

namespace host {

// Memory that is not initialised.
class Bytes {
public:
    explicit Bytes(size_t count) : begin(new char[count]) {}
    Bytes(Bytes&& other) noexcept : begin(std::exchange(other.begin, nullptr)) {}
    ~Bytes() { delete[] begin; }
    char* get() const { return begin; }
private:
    char* begin;
};

enum State { ready, at_block_barrier, at_warp_barrier, finished };

struct Thread {
    Place resume;
    bool started = false;
    Bytes stack{stack_bytes};
    dim3 index;
    unsigned rank, mask;        // mask: the lanes that this thread waits for
    unsigned long long shown;   // what this lane shows its warp
    State state;
    int line;
#ifdef __SANITIZE_ADDRESS__
    static constexpr size_t stack_bytes = 512 << 10;
    void* unused = nullptr;     // stack frames that the sanitizer keeps
#else
    static constexpr size_t stack_bytes = 64 << 10;
#endif
};

inline std::vector<Thread> made;
inline std::span<Thread> threads;  // those of this launch: the first that were made
inline Thread* self;
inline Place scheduler;
inline void (*body)(void (*kernel)(), void** args);
inline void (*body_kernel)();
inline void** body_args;

#ifdef __SANITIZE_ADDRESS__  // which is told of every switch between stacks
struct Stack { const void* bottom = nullptr; size_t bytes = 0; void* unused = nullptr; };
inline Stack main_stack;
inline void leave_main(Thread& t) { __sanitizer_start_switch_fiber(&main_stack.unused, t.stack.get(), Thread::stack_bytes); }
inline void reach_main() { __sanitizer_finish_switch_fiber(main_stack.unused, nullptr, nullptr); }
inline void leave_thread() { __sanitizer_start_switch_fiber(&self->unused, main_stack.bottom, main_stack.bytes); }
inline void reach_thread() { __sanitizer_finish_switch_fiber(self->unused, &main_stack.bottom, &main_stack.bytes); }
#else
inline void leave_main(Thread&) {}
inline void reach_main() {}
inline void leave_thread() {}
inline void reach_thread() {}
#endif

inline void wait(State state, unsigned mask, int line)
{
    self->state = state; self->mask = mask; self->line = line;
    if (SAVED(self->resume) == 0) {
        leave_thread();
        GO_TO(scheduler);
    }
    reach_thread();
}

inline void run_thread() { for (reach_thread();;) body(body_kernel, body_args), wait(finished, 0, 0); }

// Run a thread until it waits.
inline void run(Thread& t)
{
    self = &t;
    if (SAVED(scheduler)) {
        reach_main();
        return;
    }
    leave_main(t);
    if (t.started) GO_TO(t.resume);
    t.started = true;
    static ucontext_t first;
    getcontext(&first);
    first.uc_stack = {t.stack.get(), 0, Thread::stack_bytes - t.rank % 64 * 64};  // each in other lines of the cache
    makecontext(&first, run_thread, 0);
    setcontext(&first);
}

inline unsigned warp_of(const Thread& t) { return t.rank & ~31u; }

// The lanes of `mask` in this warp all wait for each other (a lane that has ended counts as arrived).
inline bool together(unsigned warp, unsigned mask)
{
    for (unsigned i = warp; i < std::min<size_t>(warp + 32, threads.size()); ++i)
        if (mask >> (i - warp) & 1 && threads[i].state != finished
            && !(threads[i].state == at_warp_barrier && threads[i].mask == mask)) return false;
    return true;
}

// Run one warp until all of its lanes wait or have ended.
inline void run_warp(unsigned warp, const std::vector<unsigned>& lanes)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned lane : lanes) {
            if (warp + lane >= threads.size()) continue;
            Thread& t = threads[warp + lane];
            if (t.state != ready) continue;
            moved = true;
            run(t);
        }
        std::array<Thread*, 32> released;
        unsigned count = 0, mask = 0;
        bool pass = false;  // whether the lanes of `mask` do
        for (unsigned i = warp; i < std::min<size_t>(warp + 32, threads.size()); ++i) {
            if (threads[i].state != at_warp_barrier) continue;
            if (!mask || threads[i].mask != mask) mask = threads[i].mask, pass = together(warp, mask);
            if (pass) released[count++] = &threads[i];
        }
        for (unsigned i = 0; i < count; ++i) released[i]->state = ready, moved = true;
    }
}

// Let the block pass __syncthreads. Returns what is wrong, or an empty text.
inline std::string pass_block_barrier(bool& done)
{
    const Thread* first = nullptr;
    done = true;
    for (Thread& t : threads) {
        if (t.state == finished) continue;
        done = false;
        if (t.state == at_warp_barrier)
            return "thread " + std::to_string(t.rank) + " waits for lanes of its warp that never come";
        if (!first) first = &t;
        else if (first->line != t.line)
            return "threads wait at two __syncthreads, in lines " + std::to_string(first->line) + " and " + std::to_string(t.line);
    }
    for (Thread& t : threads) if (t.state == at_block_barrier) t.state = ready;
    return {};
}

inline std::string run_block(const std::vector<unsigned>& warps, const std::vector<unsigned>& lanes)
{
    for (Thread& t : threads) t.state = ready;
    for (bool done = false; !done;) {
        for (unsigned w : warps) run_warp(32 * w, lanes);
        std::string wrong = pass_block_barrier(done);
        if (!wrong.empty()) return wrong;
    }
    return {};
}

inline std::vector<unsigned> ordered(unsigned n, int seed)
{
    std::vector<unsigned> order(n);
    for (unsigned i = 0; i < n; ++i) order[i] = i;
    if (seed < 0) std::reverse(order.begin(), order.end());
    unsigned long long random = seed;
    for (unsigned i = n; seed > 0 && i > 1; --i) {  // Fisher and Yates, by Knuth's linear congruential generator
        random = random * 6364136223846793005u + 1442695040888963407u;
        std::swap(order[i - 1], order[(random >> 33) % i]);
    }
    return order;
}

inline std::string launch(dim3 grid, dim3 block, int seed)
{
    gridDim = grid; blockDim = block;
    if (made.size() < block.x * block.y * block.z) {
        made.clear();
        made.resize(block.x * block.y * block.z);
    }
    threads = {made.data(), block.x * block.y * block.z};
    for (unsigned i = 0; i < threads.size(); ++i) {
        threads[i].rank = i;
        threads[i].index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
    }
    auto warps = ordered((threads.size() + 31) / 32, seed), lanes = ordered(32, seed);
    for (unsigned b : ordered(grid.x * grid.y * grid.z, seed)) {
        blockIdx = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        std::string wrong = run_block(warps, lanes);
        if (wrong.empty()) continue;
        made.clear();  // some may still wait in the middle of the kernel
        return wrong;
    }
    return {};
}

// Bind `args`, pointers to the arguments as cuLaunchKernel takes them, to the kernel's own types.
template <class... A, size_t... I>
void bind(void (*kernel)(A...), void** args, std::index_sequence<I...>)
{
    body = [](void (*kernel)(), void** args) {
        reinterpret_cast<void (*)(A...)>(kernel)(*static_cast<std::remove_reference_t<A>*>(args[I])...);
    };
    body_kernel = reinterpret_cast<void (*)()>(kernel), body_args = args;
}
template <class... A>
const char* run(void (*kernel)(A...), const unsigned* g, const unsigned* b, void** args, int seed)
{
    static std::string wrong;
    bind(kernel, args, std::index_sequence_for<A...>{});
    wrong = launch({g[0], g[1], g[2]}, {b[0], b[1], b[2]}, seed);
    return wrong.empty() ? nullptr : wrong.c_str();
}

inline unsigned lane() { return self->rank & 31; }

template <class T> T read_lane(unsigned mask, T value, unsigned from)
{
    static_assert(sizeof(T) <= 8, "a lane shows at most 8 bytes");
    T out = value;
    std::memcpy(&self->shown, &value, sizeof value);
    wait(at_warp_barrier, mask, 0);
    if (from < 32 && warp_of(*self) + from < threads.size()) std::memcpy(&out, &threads[warp_of(*self) + from].shown, sizeof out);
    wait(at_warp_barrier, mask, 0);
    return out;
}
inline unsigned ballot(unsigned mask, bool yes)
{
    unsigned out = 0;
    self->shown = yes;
    wait(at_warp_barrier, mask, 0);
    for (unsigned i = 0; i < 32 && warp_of(*self) + i < threads.size(); ++i)
        if (mask >> i & 1 && threads[warp_of(*self) + i].shown) out |= 1u << i;
    wait(at_warp_barrier, mask, 0);
    return out;
}

inline unsigned match_any(unsigned mask, unsigned value)
{
    unsigned out = 0;
    self->shown = value;
    wait(at_warp_barrier, mask, 0);
    for (unsigned i = 0; i < 32 && warp_of(*self) + i < threads.size(); ++i)
        if (mask >> i & 1 && threads[warp_of(*self) + i].shown == value) out |= 1u << i;
    wait(at_warp_barrier, mask, 0);
    return out;
}

}  // namespace host

#define threadIdx (host::self->index)
#define __syncthreads() host::wait(host::at_block_barrier, 0, __LINE__)
inline void __syncwarp(unsigned mask = ~0u) { host::wait(host::at_warp_barrier, mask, 0); }
template <class T> T __shfl_sync(unsigned m, T v, int from) { return host::read_lane(m, v, from & 31); }
template <class T> T __shfl_up_sync(unsigned m, T v, unsigned d) { return host::read_lane(m, v, host::lane() - d); }
template <class T> T __shfl_down_sync(unsigned m, T v, unsigned d) { return host::read_lane(m, v, host::lane() + d); }
template <class T> T __shfl_xor_sync(unsigned m, T v, unsigned x) { return host::read_lane(m, v, host::lane() ^ x); }
inline unsigned __ballot_sync(unsigned m, int p) { return host::ballot(m, p); }
inline int __any_sync(unsigned m, int p) { return host::ballot(m, p) != 0; }
inline int __all_sync(unsigned m, int p) { return host::ballot(m, !p) == 0; }
inline unsigned __match_any_sync(unsigned m, unsigned v) { return host::match_any(m, v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
inline unsigned __brev(unsigned v)
{
    unsigned out = 0;
    for (int i = 0; i < 32; ++i) out |= (v >> i & 1) << (31 - i);
    return out;
}
inline int __ffs(int v) { return __builtin_ffs(v); }
inline bool __isGlobal(const void*) { return true; }
#define __builtin_assume(what) ((void)(what))
template <class T> T __ldg(const T* p) { return *p; }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by)
{
    return (unsigned)(((unsigned long long)high << 32 | low) >> (by & 31));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector)
{
    unsigned long long both = (unsigned long long)y << 32 | x;
    unsigned out = 0;
    for (int i = 0; i < 4; ++i) out |= (unsigned)(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return out;
}
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline double __longlong_as_double(long long bits) { return std::bit_cast<double>(bits); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    return (unsigned long long)((unsigned __int128)x * y >> 64);
}
template <class T> T atomicAdd(T* p, std::type_identity_t<T> v) { T old = *p; *p += v; return old; }
template <class T> T atomicMin(T* p, std::type_identity_t<T> v) { T old = *p; if (v < old) *p = v; return old; }
template <class T> T atomicXor(T* p, std::type_identity_t<T> v) { T old = *p; *p ^= v; return old; }
template <class T> T atomicOr(T* p, std::type_identity_t<T> v) { T old = *p; *p |= v; return old; }
template <class T> T atomicCAS(T* p, std::type_identity_t<T> want, std::type_identity_t<T> v) { T old = *p; if (old == want) *p = v; return old; }
using std::max; using std::min;

#define HOST_EXPORT(kernel)                                                                            \
    extern "C" const char* host_##kernel(const unsigned* g, const unsigned* b, void** args, int seed)  \
    {                                                                                                  \
        return host::run(kernel, g, b, args, seed);                                                    \
    }
