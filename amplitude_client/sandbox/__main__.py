"""python -m amplitude_client.sandbox --port N [--eu-port M] [--host H] [--data FILE] [--keys FILE] [--forget]

Prints one line of JSON with the addresses when it listens. SIGINT and SIGTERM end it.
"""

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

import orjson

from amplitude_client.sandbox.control import read_keys
from amplitude_client.sandbox.faults import Faults
from amplitude_client.sandbox.server import Servers
from amplitude_client.sandbox.state import State


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m amplitude_client.sandbox", description="A local Amplitude.")
    parser.add_argument("--port", type=int, required=True, help="port of the Standard region; 0 picks a free one")
    parser.add_argument("--eu-port", type=int, help="port of the Europe region; without it, the next one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", type=Path, help="keep accepted events in this file over restarts")
    parser.add_argument("--keys", type=Path, help='valid keys: {"europe": ["…"], "standard": ["…"]}')
    parser.add_argument("--forget", action="store_true", help="keep counts and hashes only, for benchmarks")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    state = State(forget=arguments.forget, data=arguments.data)
    if arguments.keys is not None:
        for region, keys in read_keys(orjson.loads(arguments.keys.read_bytes())).items():
            state.register(region, keys)
    servers = Servers(state, Faults(time.time))
    eu_port = arguments.eu_port if arguments.eu_port is not None else (arguments.port and arguments.port + 1)
    addresses = await servers.open(host=arguments.host, standard_port=arguments.port, eu_port=eu_port)
    sys.stdout.write(orjson.dumps(addresses).decode() + "\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await servers.close()


def main() -> int:
    arguments = _arguments()
    try:
        asyncio.run(_serve(arguments))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The sandbox could not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
