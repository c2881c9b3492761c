"""gRPC options for every channel and server, as measured: a frozen peer is noticed after about 15 s, not 70.

`keepalive_timeout_ms` alone does nothing in grpcio 1.85; the transport's own ping timeout is what counts. No probes of
bandwidth (`bdp_probe`): each would answer received data with a ping, and our messages are small and rare.
"""

from __future__ import annotations

MOST_MESSAGE_BYTES = 4 * 1024 * 1024

CONNECT_MS = 2_000
"""What gRPC calls the least back-off is how long one attempt to connect may take, handshakes included: four round trips
with mutual TLS. With 100 ms a coordinator 80 ms away, or a busy one nearby, could never be reached."""

Options = tuple[tuple[str, int | str], ...]

CHANNEL_OPTIONS: Options = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", CONNECT_MS),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)

SERVER_OPTIONS: Options = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)
