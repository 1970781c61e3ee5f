"""Many tasks that log, in the loop and in threads, up to the end of the program."""

import asyncio

from numbered_events import connect, log_numbers


async def work(first):
    for number in range(first, first + 20):
        log_numbers(number, number + 1)
        await asyncio.sleep(0)
    await asyncio.to_thread(log_numbers, first + 20, first + 25)


async def main():
    log_numbers(0, 50)
    await asyncio.gather(*(work(1000 + 25 * number) for number in range(200)))
    log_numbers(50, 100)


connect()
asyncio.run(main())
