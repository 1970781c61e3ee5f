"""Command line of the lab: ``python -m lab --help``."""

import argparse
import sys

from lab import deployment, hosts, images, machine, main_job, repository, settings
from lab.errors import LabError
from lab.fire import command as fire_command
from lab.locking import cache_lock
from lab.progress import console


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab", description="Hosts for Logbastion on this machine, as systemd containers."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser(
        "up", help="the main job: hosts, site.yml, the example application, traffic, a look at the result"
    )
    up.add_argument(
        "--requests",
        type=int,
        default=main_job.REQUESTS,
        help="numbered requests to send to the application (default %(default)s)",
    )
    commands.add_parser("deploy", help="hosts, site.yml and the example application, without traffic")
    commands.add_parser("status", help="hosts, events stored, targets, where to look")
    fire = commands.add_parser(
        "fire",
        help="make the cause of an alert on the running lab and follow it to the receiver; of all without a name",
    )
    fire.add_argument("alert", nargs="*", help="names of alerts (default: every alert)")
    fire.add_argument("--json", action="store_true", help="print the seconds as JSON")
    fire.add_argument("--list", action="store_true", help="only print each alert and its cause")
    fire.add_argument("--restore", action="store_true", help="only undo what a fire that was killed has left")
    quiet = commands.add_parser(
        "quiet-hour", help="normal traffic with compressed time: no alert may fire but the Watchdog"
    )
    quiet.add_argument("--minutes", type=float, default=15, help="how long (default %(default)s)")
    down = commands.add_parser("down", help="remove hosts, network and the lab's secrets; the cache stays")
    down.add_argument("--keep-others", action="store_true", help="leave hosts that `host create` made")
    commands.add_parser("check", help="say what this machine lacks for the lab")

    host = commands.add_parser("host", help="make, remove or look up a single host").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    create = host.add_parser("create", help="make a host and wait until it has booted; nothing happens if it is there")
    create.add_argument("name")
    create.add_argument("--suite", choices=settings.SUITES, required=True, help="the Debian release")
    remove = host.add_parser("remove", help="remove a host and everything in it")
    remove.add_argument("name")
    address = host.add_parser("address", help="print a host's address")
    address.add_argument("name")

    packages = commands.add_parser("repository", help="the local package repository").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    packages.add_parser("build", help="build and publish what is missing")
    packages.add_parser("key", help="print the path of its signing key")

    image = commands.add_parser("image", help="build the image of a Debian release if it is missing")
    image.add_argument("suite", choices=settings.SUITES)
    return parser


def _host(arguments: argparse.Namespace) -> None:
    if arguments.action == "create":
        hosts.create(arguments.name, arguments.suite)
    elif arguments.action == "remove":
        hosts.remove(arguments.name)
    else:
        print(hosts.address(arguments.name))


def _repository(arguments: argparse.Namespace) -> None:
    if arguments.action == "build":
        with cache_lock():
            repository.ensure_repository()
    else:
        print(repository.signing_key())


def _fire(arguments: argparse.Namespace) -> None:
    if arguments.list:
        fire_command.print_causes()
    elif arguments.restore:
        fire_command.restore()
    else:
        fire_command.fire(arguments.alert, as_json=arguments.json)


def main(words: list[str] | None = None) -> int:
    """Run one command of the lab; return the exit code (0 done, 1 with a sentence on standard error, 130 interrupted)."""
    arguments = _parser().parse_args(words)
    try:
        match arguments.command:
            case "up":
                main_job.up(arguments.requests)
            case "deploy":
                machine.require()
                deployment.make_hosts()
                deployment.deploy()
            case "status":
                main_job.status()
            case "fire":
                _fire(arguments)
            case "quiet-hour":
                fire_command.quiet_hour(arguments.minutes)
            case "down":
                deployment.remove(keep_others=arguments.keep_others)
            case "check":
                machine.require()
                console.print("This machine has what the lab needs.")
            case "host":
                _host(arguments)
            case "repository":
                _repository(arguments)
            case "image":
                with cache_lock():
                    images.ensure_image(arguments.suite)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
