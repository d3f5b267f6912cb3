#!/usr/bin/env python3
"""CPU of the gate for a list of contacts, with a property rule and without, as ratios of alternating rounds.

    cargo build --release && python3 benches/filtered_list.py target/release/scopegate

Starts the simulator and a gate with one worker on loopback, asks over one keep-alive connection, and reads the
gate's own CPU time from /proc, so that neither the client nor the simulator counts. Linux only.
"""
import http.client
import os
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 5
REQUESTS = 1500
CONTACTS = 45  # about 27 KB
NAMES = "email,firstname,lastname,phone,mobilephone,company,jobtitle,website,address,city,state,zip,country"
POLICY = "integration: {}\nowner: bench@example.com\nconnections: [acme]\nallow:\n  - scope: crm.objects.contacts.read\n"
RULE = f"properties:\n  contacts: {{ read: [{NAMES}] }}\n"


def main(scopegate):
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as folder:
        sim = start(scopegate, "sim", "--listen", "127.0.0.1:0")
        started = [sim]
        try:
            url = sim.stdout.readline().split("sim=")[1].split()[0]
            config, keys = set_up(scopegate, folder, url, sim)
            gate = start(scopegate, "--config", config, "run")
            started.append(gate)
            address = gate.stdout.readline().split("gate=http://")[1].split()[0]
            measure(gate.pid, address, keys)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(timeout=30)


def start(*command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def set_up(scopegate, folder, url, sim):
    """The configuration's path, and a key for each of the two policies."""
    words = next(line for line in sim.stdout if line.startswith("token full")).split()
    token, portal = words[2], words[3].split("=")[1]
    home, secret = os.path.join(folder, "gate"), os.path.join(folder, "token")
    run(scopegate, "init", home)
    policies = os.path.join(home, "policies")
    for name in os.listdir(policies):
        os.remove(os.path.join(policies, name))
    write(os.path.join(policies, "plain.yaml"), POLICY.format("plain"))
    write(os.path.join(policies, "narrow.yaml"), POLICY.format("narrow") + RULE)
    config = os.path.join(home, "scopegate.yaml")
    write(
        config,
        f'listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nupstream: {{ url: "{url}" }}\nworkers: 1\n',
    )
    write(secret, token)
    of = [scopegate, "--config", config]
    run(*of, "connection", "add", "acme", "--portal", portal, "--token-file", secret)
    create = [*of, "key", "create", "--connection", "acme", "--integration"]
    return config, {name: run(*create, name).strip() for name in ("plain", "narrow")}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def measure(pid, address, keys):
    ask(pid, address, keys["plain"])  # warm
    ratios = []
    for _ in range(ROUNDS):
        plain, narrow = (ask(pid, address, keys[name]) for name in ("plain", "narrow"))
        ratios.append(narrow / plain)
        print(f"unfiltered {plain:.0f} µs, filtered {narrow:.0f} µs: {narrow / plain:.2f}")
    print(f"median ratio {statistics.median(ratios):.2f}")


def ask(pid, address, key):
    """Microseconds of the gate's CPU a request; every answer must be a 200."""
    connection = http.client.HTTPConnection(address, timeout=30)
    before = cpu_seconds(pid)
    for _ in range(REQUESTS):
        path = f"/crm/v3/objects/contacts?limit={CONTACTS}&properties={NAMES}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"answered {answer.status}")
    return (cpu_seconds(pid) - before) / REQUESTS * 1e6


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
