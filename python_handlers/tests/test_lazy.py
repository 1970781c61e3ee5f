import asyncio
import copy
import inspect
import logging
import pickle
import threading

import pytest

from logbastion import EventFormatter
from logbastion.lazy import MAX_DEBUG_BYTES, LazyLogMessage, conditional_debug


class Hostile:
    def __str__(self):
        raise RuntimeError("no text")


class Collect(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def messages(self):
        return [record.getMessage() for record in self.records]


@pytest.fixture
def debug():
    """This module's logger, with what arrives there."""
    logger, collect = logging.getLogger(__name__), Collect()
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(collect)
    yield collect
    logger.removeHandler(collect)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def fail(*_, **__):
    raise ValueError("a secret")


@pytest.mark.parametrize(
    ("func", "text"),
    [
        (lambda: "text", "text"),
        (lambda: 7, "7"),
        (lambda: None, "None"),
        (Hostile, "<Hostile whose text raised RuntimeError>"),
        (fail, "<LazyLogMessage that raised ValueError>"),
        (None, "<LazyLogMessage that raised TypeError>"),
        (lambda: "\ud800", "\ufffd"),
    ],
)
def test_it_is_always_text(func, text):
    message = LazyLogMessage(func)
    assert type(str(message)) is str
    assert str(message) == text


def test_arguments_and_a_bound():
    assert str(LazyLogMessage("{} {x}".format, 1, x=2)) == "1 2"
    assert len(str(LazyLogMessage(lambda: "x" * 10**6))) <= 262_144


def test_nothing_is_worked_out_unless_it_is_written_and_then_once(logger):
    calls = []
    logger.setLevel(logging.INFO)
    first, second = Collect(), Collect()
    for handler in (first, second):
        handler.setFormatter(EventFormatter())
        logger.addHandler(handler)
    logger.debug(LazyLogMessage(calls.append, 1))
    assert calls == []
    logger.info(LazyLogMessage(calls.append, 2))
    logger.info("argument %s", LazyLogMessage(calls.append, 3))
    for handler in (first, second):
        for record in handler.records:
            handler.format(record)
    assert calls == [2, 3]


def test_once_for_racing_threads_which_all_get_the_text():
    calls, texts, start = [], [], threading.Barrier(8)

    def work():
        calls.append(1)
        threading.Event().wait(0.01)
        return "text"

    message = LazyLogMessage(work)

    def ask():
        start.wait()
        texts.append(str(message))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert texts == ["text"] * 8


def test_a_message_within_itself():
    made = []
    made.append(LazyLogMessage(lambda: f"[{made[0]}]"))
    assert str(made[0]) == "[<LazyLogMessage within itself>]"


def test_an_interruption_is_not_swallowed_and_the_function_not_called_again():
    calls = []

    def interrupted():
        calls.append(1)
        raise KeyboardInterrupt

    message = LazyLogMessage(interrupted)
    with pytest.raises(KeyboardInterrupt):
        str(message)
    assert str(message) == "<LazyLogMessage that was interrupted>"
    assert calls == [1]


def test_arguments_are_let_go():
    import weakref

    class Large:
        pass

    large = Large()
    seen, message = weakref.ref(large), LazyLogMessage(lambda _: "text", large)
    del large
    assert seen() is not None
    str(message)
    assert seen() is None


def test_a_copy_is_text():
    message = LazyLogMessage(lambda: "text")
    assert copy.deepcopy(message) == pickle.loads(pickle.dumps(message)) == "text"  # noqa: S301


def test_the_operation_runs_only_for_debug_and_sees_the_arguments(debug):
    seen = []

    @conditional_debug(lambda *args, **kwargs: seen.append((args, kwargs)) or "detail")
    def pay(amount, *, currency="EUR"):
        """Pay."""
        return amount, currency

    assert pay(5, currency="USD") == (5, "USD")
    assert seen == [((5,), {"currency": "USD"})]
    assert debug.messages() == [f"{pay.__qualname__}: detail"]
    assert debug.records[0].funcName == "test_the_operation_runs_only_for_debug_and_sees_the_arguments"
    logging.getLogger(__name__).setLevel(logging.INFO)
    assert pay(6) == (6, "EUR")
    assert len(seen) == 1
    assert (pay.__name__, pay.__doc__) == ("pay", "Pay.")


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (fail, "<debug operation that raised ValueError>"),
        (lambda: None, "<debug operation that raised TypeError>"),  # takes no arguments
        (lambda _: Hostile(), "<Hostile whose text raised RuntimeError>"),
        (None, "<debug operation that raised TypeError>"),
    ],
)
def test_a_failing_operation_does_not_break_the_call(debug, operation, text):
    assert conditional_debug(operation)(abs)(-5) == 5  # of the module `builtins`, whose logger says nothing

    @conditional_debug(operation)
    def business(number):
        return number + 1

    assert business(1) == 2
    assert [message.partition(": ")[2] for message in debug.messages()] == [text]


def test_nor_do_failing_filters(debug):
    debug.addFilter(fail)

    @conditional_debug(lambda number: number)
    def business(number):
        return number + 1

    assert business(1) == 2


def test_the_call_s_own_exceptions_pass(debug):
    with pytest.raises(ValueError, match="a secret"):
        conditional_debug(lambda: "x")(fail)()


def test_the_result_is_bounded(debug):
    conditional_debug(lambda: "x" * 10**6)(lambda: None)()
    assert len(debug.messages()[0]) < MAX_DEBUG_BYTES + 200


def test_methods_of_all_kinds(debug):
    class Payment:
        factor = 2

        @conditional_debug(lambda self, n: f"method {self.factor}")
        def method(self, n):
            return n * self.factor

        @conditional_debug(lambda cls, n: f"class {cls.__name__}")
        @classmethod
        def of_class(cls, n):
            return n * cls.factor

        @conditional_debug(lambda n: f"static {n}")
        @staticmethod
        def static(n):
            return n

    assert (Payment().method(3), Payment.of_class(3), Payment().of_class(4), Payment.static(3)) == (6, 6, 8, 3)
    texts = [message.partition(": ")[2] for message in debug.messages()]
    assert texts == ["method 2", "class Payment", "class Payment", "static 3"]


def test_coroutines_and_coroutine_operations(debug):
    async def detail(number):
        await asyncio.sleep(0)
        return f"detail {number}"

    async def broken(number):
        raise ValueError

    results = []
    for operation in (lambda number: f"plain {number}", detail, broken):

        @conditional_debug(operation)
        async def business(number):
            await asyncio.sleep(0)
            return number + 1

        assert inspect.iscoroutinefunction(business)
        results.append(asyncio.run(business(1)))
    assert results == [2, 2, 2]
    assert [message.partition(": ")[2] for message in debug.messages()] == [
        "plain 1",
        "detail 1",
        "<debug operation that raised ValueError>",
    ]


@pytest.mark.filterwarnings("error")
def test_a_coroutine_operation_of_a_plain_function_is_told_and_warns_of_nothing(debug):
    async def detail():
        return "never"

    assert conditional_debug(detail)(lambda: 3)() == 3
    assert debug.messages()[0].endswith("<coroutine, which only a coroutine can await>")
