"""Provokes refusals with aiohttp, requests, urllib and curl, which speaks HTTP/2 too: each answer has to arrive."""

import asyncio
import collections
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import aiohttp
import requests

URL = sys.argv[1]
TRIES = 100
JSON = {"content-type": "application/json"}
REFUSALS = [
    (401, "PATCH", "/api/v1/users/me", 40_000, {"authorization": "Bearer expired", **JSON}),
    (401, "PATCH", "/api/v1/users/me", 900_000, {"authorization": "Bearer expired", **JSON}),
    (404, "POST", "/nothing", 900_000, JSON),
    (413, "POST", "/api/v1/auth/login", 900_000, JSON),
    (415, "POST", "/api/v1/auth/login", 900_000, {"content-type": "text/plain"}),
]


async def by_aiohttp(method, url, body, headers):
    """One session for all tries, as an application has it."""
    async with aiohttp.ClientSession() as session:
        for _ in range(TRIES):
            try:
                async with session.request(method, url, data=body, headers=headers) as answer:
                    await answer.read()
                    yield answer.status
            except aiohttp.ClientError as error:
                yield repr(error)


def by_requests(method, url, body, headers):
    with requests.Session() as session:
        for _ in range(TRIES):
            try:
                yield session.request(method, url, data=body, headers=headers).status_code
            except requests.RequestException as error:
                yield repr(error)


def by_urllib(method, url, body, headers):
    for _ in range(TRIES):
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)).close()
        except urllib.error.HTTPError as error:
            yield error.code
        except OSError as error:
            yield repr(error)


def by_curl(method, url, body, headers, *flags, tries=TRIES):
    """One process for all tries: curl reuses its connection."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        command = ["curl", "--silent", *flags, "--write-out", "%{http_code}\n", "--request", method]
        command += ["--data-binary", f"@{file.name}"]
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        for _ in range(tries):
            command += ["--output", "/dev/null", url]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        yield from (int(line) for line in printed.split())


def by_curl_over_http2(*request):
    """One process for each try: curl 7.88 cannot reuse a connection that it opened with prior knowledge."""
    for _ in range(TRIES):
        yield from by_curl(*request, "--http2-prior-knowledge", tries=1)


async def collected(answers):
    return collections.Counter([answer async for answer in answers])


def main():
    lost = 0
    for status, method, path, size, headers in REFUSALS:
        request = (method, URL + path, b" " * size, headers)
        counts = {
            "aiohttp": asyncio.run(collected(by_aiohttp(*request))),
            "requests": collections.Counter(by_requests(*request)),
            "urllib": collections.Counter(by_urllib(*request)),
            "curl": collections.Counter(by_curl(*request)),
            "curl, HTTP/2": collections.Counter(by_curl_over_http2(*request)),
        }
        for client, count in counts.items():
            if count != {status: TRIES}:
                lost += 1
                print(f"  {client}, {status} for {size} bytes: {dict(count)}")
    print(f"  aiohttp, requests, urllib and curl: {lost} of {5 * len(REFUSALS)} cases with lost answers")
    sys.exit(lost > 0)


main()
