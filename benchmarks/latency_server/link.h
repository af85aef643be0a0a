// Moments, and the two queues of a slow link: one for the latency, one for the bandwidth. See main.c.
#pragma once

#include "server.h"

enum { HEAD_BYTES = 16384 };

typedef enum { READING, STORING, WAITING, SENDING, BLOCKED } State;

typedef struct Connection {
    struct Connection *next;  // in a queue
    int socket;
    State state;
    bool has_unread, is_last, is_gone;
    int64_t due;  // when the first byte may be sent
    size_t filled;
    Upload upload;
    Answer answer;
    char in[HEAD_BYTES];
} Connection;

typedef struct {
    Connection *first, *last;
} Queue;

static inline void queue_add(Queue *queue, Connection *connection)
{
    connection->next = NULL;
    if (queue->first) queue->last->next = connection;
    else queue->first = connection;
    queue->last = connection;
}

static inline Connection *queue_take(Queue *queue)
{
    Connection *connection = queue->first;
    queue->first = connection->next;
    return connection;
}

typedef struct {
    int64_t latency;            // nanoseconds
    double nanoseconds_a_byte;  // 0: as fast as it goes
    int64_t free_at;            // when all bytes that were sent have gone over it
    Queue waiting;              // for the latency, which is the same for all: the first one is due first
    Queue sending;              // for the bandwidth, each a part in turn
} Link;

typedef struct {
    int root, events;
    bool is_writable;
    Link link;
    int64_t requests, body_bytes, connections;  // since they were last asked for
} Server;

int64_t moment(void);

// connections.c
void connection_open(Server *server, int socket);
void connection_event(Server *server, Connection *connection, uint32_t events);
int64_t link_turn(Server *server);
