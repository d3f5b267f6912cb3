"""A place to measure in: a home with a store, policies and keys, the simulator as upstream, a gate.

Everything runs on loopback, on ports the system picks, in a temporary folder (`TMPDIR`), and ends with the place.
"""
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time

FIRST_PORTAL = 500_000
SCOPES = ["oauth", "crm.objects.contacts.read", "crm.objects.owners.read"]
# One call with a small answer, from a fixed row: what the upstream does is not what is measured.
CALL = "/crm/v3/owners"
POLICY = """integration: {name}
owner: bench@example.com
connections: [{{ app: fleet }}]
allow:
  - scope: [crm.objects.contacts.read, crm.objects.companies.read, crm.objects.deals.read, crm.objects.owners.read]
  - scope: [crm.objects.contacts.write, crm.lists.read, crm.schemas.contacts.read]
deny:
  - effects: [irreversible]
properties:
  contacts: {{ read: [email, firstname, lastname, {name}], write: [firstname] }}
  deals: {{ read: {{ except: ["*amount*"] }} }}
  "*": all
"""


class Place:
    """Simulator, store and gate. `with Place(...) as place:` ends all of it."""

    def __init__(self, programs, accounts=1, hot=1, keys=10, policies=10, token_age=0, settings="", valgrind=None):
        # The simulator may be of another build than the gate, to compare two of them under the same upstream.
        self.scopegate, self.seed_program, self.simulator = programs
        self.accounts, self.hot, self.key_count, self.policies = accounts, hot, keys, policies
        self.token_age, self.settings, self.valgrind = token_age, settings, valgrind
        self.started, self.gate, self.keys = [], None, []

    def __enter__(self):
        os.umask(0o077)
        self.folder = tempfile.mkdtemp(prefix="scopegate-scale-")
        try:
            self.furnish()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def furnish(self):
        sim = self.start([self.simulator, "sim", "--listen", "127.0.0.1:0", "--empty", "--portals", "1"])
        self.upstream = sim.stdout.readline().split("sim=")[1].split()[0]
        self.sim_secret = next(line for line in sim.stdout if line.startswith("control ")).split()[1]
        home = os.path.join(self.folder, "gate")
        run(self.scopegate, "init", home)
        folder = os.path.join(home, "policies")
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
        for n in range(self.policies):
            self.write_policy(n, folder)
        self.policy_folder = folder
        self.config = os.path.join(home, "scopegate.yaml")
        write(
            self.config,
            f"listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nmonitor: {{ listen: 127.0.0.1:0 }}\n"
            f'upstream: {{ url: "{self.upstream}" }}\nworkers: 2\n{self.settings}',
        )
        self.seed()

    def write_policy(self, n, folder=None):
        name = f"bench-{n}"
        write(os.path.join(folder or self.policy_folder, f"{name}.yaml"), POLICY.format(name=name))

    def seed(self):
        app = self.control("apps", {"name": "fleet"})
        lines = [
            f"config {self.config}",
            "app fleet",
            f"client_id {app['client_id']}",
            f"client_secret {app['client_secret']}",
            f"first_portal {FIRST_PORTAL}",
            f"accounts {self.accounts}",
            f"keys {self.key_count}",
            f"integrations {self.policies}",
            "shown_keys 1000",
            f"token_age {self.token_age}",
        ]
        lines += self.hot_lines(app)
        begun = time.monotonic()
        made = subprocess.run(
            [self.seed_program], input="\n".join(lines), check=True, capture_output=True, text=True
        ).stdout
        self.seeding = time.monotonic() - begun
        self.keys = [line.split()[1] for line in made.splitlines() if line.startswith("key ")]
        self.portals = range(FIRST_PORTAL, FIRST_PORTAL + self.hot)

    def hot_lines(self, app):
        """Accounts with a live token, every one of which the simulator issued just now."""
        installed, first = [], FIRST_PORTAL
        while len(installed) < self.hot:
            count = min(2_000, self.hot - len(installed))
            wish = {"client_id": app["client_id"], "first": first, "count": count, "scopes": SCOPES}
            installed += self.control("fleets", wish)["installs"]
            first += count
        with contextlib.closing(connect(self.upstream)) as http_connection:
            for install in installed:
                answer = exchange(http_connection, app, install["refresh_token"])
                yield f"hot {install['hub_id']} {install['refresh_token']} {answer['access_token']}"

    def control(self, what, body):
        headers = {"x-sim-control": self.sim_secret, "content-type": "application/json"}
        with contextlib.closing(connect(self.upstream)) as http_connection:
            http_connection.request("POST", f"/_sim/{what}", json.dumps(body), headers)
            answer = http_connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise SystemExit(f"/_sim/{what}: {answer.status} {text[:200]}")
            return json.loads(text)

    def run_gate(self, patience=300):
        """Starts the gate; seconds until it says that it is ready."""
        begun = time.monotonic()
        command = [self.scopegate, "--config", self.config, "run"]
        self.gate = self.start((self.valgrind or []) + command, log=os.path.join(self.folder, "gate.log"))
        line = self.gate.stdout.readline()
        took = time.monotonic() - begun
        if not line.startswith("ready ") or took > patience:
            raise SystemExit(f"the gate did not start: {line!r}; its log:\n{self.log()[-2000:]}")
        words = dict(word.split("=", 1) for word in line.split()[1:])
        self.address = words["gate"].removeprefix("http://")
        self.monitor = words["monitor"].removeprefix("http://")
        return took

    def stop_gate(self):
        end(self.gate)
        self.started.remove(self.gate)

    def log(self):
        with open(os.path.join(self.folder, "gate.log"), encoding="utf-8") as file:
            return file.read()

    def start(self, command, log=None):
        stderr = open(log, "a", encoding="utf-8") if log else subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        if log:
            stderr.close()
        self.started.append(process)
        return process

    def command(self, *words):
        """A command of the product's on this store; its output."""
        return run(self.scopegate, "--config", self.config, *words)

    def ask(self, connection, n):
        """One call through the gate, with key and account number `n`; must be a 200."""
        key = self.keys[n % len(self.keys)]
        portal = self.portals[n % len(self.portals)]
        connection.request("GET", CALL, headers={"authorization": f"Bearer {key}~{portal}"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"answered {answer.status}: {text[:300]}")

    def asks(self, count, first=0):
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            for n in range(first, first + count):
                self.ask(connection, n)

    def metric(self, name):
        """The sum of a metric's series."""
        with contextlib.closing(http.client.HTTPConnection(self.monitor, timeout=60)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        lines = (line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def memory(self):
        """What is resident now, was at most, and is not of files, in MiB."""
        with open(f"/proc/{self.gate.pid}/status", encoding="ascii") as file:
            sizes = {line.split(":")[0]: line.split()[1] for line in file if line.startswith(("Vm", "Rss"))}
        return {name: round(int(sizes[name]) / 1024, 1) for name in ("VmRSS", "VmHWM", "RssAnon")}

    def cpu(self):
        """CPU seconds of the gate, all of its threads."""
        with open(f"/proc/{self.gate.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def exchange(connection, app, refresh_token):
    body = (
        f"grant_type=refresh_token&client_id={app['client_id']}&client_secret={app['client_secret']}"
        f"&refresh_token={refresh_token}"
    )
    headers = {"content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/oauth/v1/token", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"the simulator's token endpoint answered {answer.status}: {text[:200]}")
    return json.loads(text)


def connect(origin):
    return http.client.HTTPConnection(origin.removeprefix("http://"), timeout=120)


def end(process):
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=30)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
