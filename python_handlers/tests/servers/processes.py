"""Processes of multiprocessing, each with numbers of its own; the parent logs before, between and after."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from numbered_events import LOG, connect, log_numbers


def work(first):
    if not LOG.handlers:  # a child that was not forked
        connect()
    log_numbers(first, first + 100)


def main(method):
    context = multiprocessing.get_context(method)
    connect()
    log_numbers(0, 100)
    children = [context.Process(target=work, args=(1000 + 100 * number,)) for number in range(4)]
    for child in children:
        child.start()
    log_numbers(100, 200)
    for child in children:
        child.join()
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        list(executor.map(work, range(2000, 3000, 100)))
    pool = context.Pool(2)
    pool.map(work, range(3000, 4000, 100))
    pool.close()
    pool.join()
    log_numbers(200, 300)
    return max(child.exitcode for child in children)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
