/* Stands in for CUDA's runtime library: its functions as the agent calls them, on the host's memory and a clock of its own.

   What the real one refuses is refused: an address that is not the device's where one is wanted, a copy that is too long, a handle that
   was freed. standInFault makes a function fail with a code; standInLive counts what was made and not given back. */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifndef CUDART_VERSION
#define CUDART_VERSION 12060
#endif
#define MOST 4096
#define GRAPH 64

typedef void (*Work)(void);
typedef void (*OnRead)(void *);
enum { FREE, DEVICE, HOST, STREAM, EVENT, GRAPH_MADE, GRAPH_READY };
typedef struct { void *at; size_t bytes; int kind; double clock; Work work[GRAPH]; double cost[GRAPH]; int count; int capturing; } Thing;

static Thing things[MOST];
static char faulty[64];
static int fault_code, fault_after, fault_silent;
static OnRead on_read;

static Thing *find(void *at, int kind)
{
    for (int i = 0; i < MOST; i++)
        if (things[i].kind == kind && (char *)at >= (char *)things[i].at && (char *)at < (char *)things[i].at + things[i].bytes)
            return &things[i];
    return NULL;
}

static int fails(const char *name)
{
    if (strcmp(name, faulty) != 0)
        return 0;
    if (fault_after > 0) {
        fault_after--;
        return 0;
    }
    return fault_code;
}

#define FAULTS(name) do { int code = fails(name); if (code) return code; if (fault_silent && !strcmp(name, faulty)) return 0; } while (0)

static int make(void **at, size_t bytes, int kind)
{
    for (int i = 0; i < MOST; i++)
        if (things[i].kind == FREE) {
            memset(&things[i], 0, sizeof(Thing));
            things[i].at = malloc(bytes ? bytes : 1);
            things[i].bytes = bytes;
            things[i].kind = kind;
            *at = things[i].at;
            return 0;
        }
    return 2;
}

static int give_back(void *at, int kind)
{
    Thing *found = find(at, kind);
    if (!found || found->at != at)
        return 1;
    free(found->at);
    found->kind = FREE;
    return 0;
}

void standInFault(const char *name, int code, int after)
{
    strncpy(faulty, name, sizeof(faulty) - 1);
    fault_code = code > 0 ? code : 0;
    fault_silent = code < 0;
    fault_after = after;
}

void standInForget(void)
{
    for (int i = 0; i < MOST; i++) {
        if (things[i].kind != FREE)
            free(things[i].at);
        things[i].kind = FREE;
    }
    standInFault("", 0, 0);
}

int standInLive(void)
{
    int live = 0;
    for (int i = 0; i < MOST; i++)
        live += things[i].kind != FREE;
    return live;
}

int standInIsDevice(void *at, size_t bytes)
{
    Thing *found = find(at, DEVICE);
    return found != NULL && (char *)at + bytes <= (char *)found->at + found->bytes;
}

void standInOnRead(OnRead hook) { on_read = hook; }

/* Work of a kernel: done now, or kept in the graph that the stream captures. */
int standInWork(void *stream, Work work, double milliseconds)
{
    Thing *found = find(stream, STREAM);
    if (!found)
        return 400;
    if (found->capturing) {
        if (found->count == GRAPH)
            return 901;
        found->work[found->count] = work;
        found->cost[found->count++] = milliseconds;
        return 0;
    }
    work();
    found->clock += milliseconds;
    return 0;
}

const char *cudaGetErrorString(int code)
{
    return code == 0 ? "no error" : code == 1 ? "invalid argument" : code == 2 ? "out of memory" : code == 35
        ? "CUDA driver version is insufficient for CUDA runtime version" : code == 100 ? "no CUDA-capable device is detected"
        : code == 700 ? "an illegal memory access was encountered" : code == 719 ? "unspecified launch failure" : "unrecognized error code";
}

int cudaRuntimeGetVersion(int *version) { FAULTS("cudaRuntimeGetVersion"); *version = CUDART_VERSION; return 0; }
int cudaDriverGetVersion(int *version) { FAULTS("cudaDriverGetVersion"); *version = CUDART_VERSION; return 0; }
int cudaGetDeviceCount(int *count) { FAULTS("cudaGetDeviceCount"); *count = 1; return 0; }
int cudaSetDeviceFlags(unsigned flags) { FAULTS("cudaSetDeviceFlags"); return flags == 1 ? 0 : 1; }

int cudaDeviceGetAttribute(int *found, int attribute, int device)
{
    FAULTS("cudaDeviceGetAttribute");
    if (device != 0)
        return 101;
    *found = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return *found < 0;
}

int cudaMemGetInfo(size_t *left, size_t *total)
{
    FAULTS("cudaMemGetInfo");
    *total = *left = (size_t)4 << 30;
    for (int i = 0; i < MOST; i++)
        *left -= things[i].kind == DEVICE ? things[i].bytes : 0;
    return 0;
}

int cudaMalloc(void **at, size_t bytes) { FAULTS("cudaMalloc"); return make(at, bytes, DEVICE); }
int cudaMallocHost(void **at, size_t bytes) { FAULTS("cudaMallocHost"); return make(at, bytes, HOST); }
int cudaFree(void *at) { FAULTS("cudaFree"); return give_back(at, DEVICE); }
int cudaFreeHost(void *at) { FAULTS("cudaFreeHost"); return give_back(at, HOST); }

int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream)
{
    FAULTS("cudaMemcpyAsync");
    Thing *device = find(kind == 1 ? to : (void *)from, DEVICE), *host = find(kind == 1 ? (void *)from : to, HOST), *in = find(stream, STREAM);
    if (!device || !host || bytes > device->bytes || bytes > host->bytes || (kind != 1 && kind != 2))
        return 1;
    if (!in)
        return 400;
    if (kind == 2 && on_read)
        on_read((void *)from);
    memcpy(to, from, bytes);
    in->clock += 0.002 + bytes * 1e-7;
    return 0;
}

int cudaStreamCreate(void **stream) { FAULTS("cudaStreamCreate"); return make(stream, 1, STREAM); }
int cudaStreamDestroy(void *stream) { FAULTS("cudaStreamDestroy"); return give_back(stream, STREAM); }
int cudaStreamSynchronize(void *stream) { FAULTS("cudaStreamSynchronize"); return find(stream, STREAM) ? 0 : 400; }
int cudaEventCreate(void **event) { FAULTS("cudaEventCreate"); return make(event, 1, EVENT); }
int cudaEventDestroy(void *event) { FAULTS("cudaEventDestroy"); return give_back(event, EVENT); }
int cudaEventSynchronize(void *event) { FAULTS("cudaEventSynchronize"); return find(event, EVENT) ? 0 : 400; }

int cudaEventRecord(void *event, void *stream)
{
    FAULTS("cudaEventRecord");
    Thing *what = find(event, EVENT), *in = find(stream, STREAM);
    if (!what || !in)
        return 400;
    what->clock = in->clock;
    return 0;
}

int cudaEventElapsedTime(float *milliseconds, void *begin, void *end)
{
    FAULTS("cudaEventElapsedTime");
    Thing *first = find(begin, EVENT), *last = find(end, EVENT);
    if (!first || !last)
        return 400;
    *milliseconds = (float)(last->clock - first->clock);
    return 0;
}

int cudaStreamBeginCapture(void *stream, int mode)
{
    FAULTS("cudaStreamBeginCapture");
    Thing *in = find(stream, STREAM);
    if (!in || mode != 2)
        return 1;
    in->capturing = 1;
    in->count = 0;
    return 0;
}

int cudaStreamEndCapture(void *stream, void **graph)
{
    Thing *in = find(stream, STREAM), *made;
    if (in)
        in->capturing = 0;
    FAULTS("cudaStreamEndCapture");
    if (!in || make(graph, 1, GRAPH_MADE))
        return 1;
    made = find(*graph, GRAPH_MADE);
    memcpy(made->work, in->work, sizeof(in->work));
    memcpy(made->cost, in->cost, sizeof(in->cost));
    made->count = in->count;
    return 0;
}

static int instantiate(void **ready, void *graph)
{
    Thing *from = find(graph, GRAPH_MADE), *to;
    if (!from || make(ready, 1, GRAPH_READY))
        return 1;
    to = find(*ready, GRAPH_READY);
    memcpy(to->work, from->work, sizeof(from->work));
    memcpy(to->cost, from->cost, sizeof(from->cost));
    to->count = from->count;
    return 0;
}

#if CUDART_VERSION >= 12000
int cudaGraphInstantiate(void **ready, void *graph, unsigned long long flags)
{
    FAULTS("cudaGraphInstantiate");
    return flags ? 1 : instantiate(ready, graph);
}
#else
int cudaGraphInstantiate(void **ready, void *graph, void **node, char *log, size_t bytes)
{
    FAULTS("cudaGraphInstantiate");
    return node || log || bytes ? 1 : instantiate(ready, graph);
}
#endif

int cudaGraphLaunch(void *ready, void *stream)
{
    FAULTS("cudaGraphLaunch");
    Thing *what = find(ready, GRAPH_READY), *in = find(stream, STREAM);
    if (!what || !in)
        return 400;
    for (int i = 0; i < what->count; i++) {
        what->work[i]();
        in->clock += what->cost[i] * 0.9;
    }
    return 0;
}

int cudaGraphDestroy(void *graph) { FAULTS("cudaGraphDestroy"); return give_back(graph, GRAPH_MADE); }
int cudaGraphExecDestroy(void *graph) { FAULTS("cudaGraphExecDestroy"); return give_back(graph, GRAPH_READY); }
