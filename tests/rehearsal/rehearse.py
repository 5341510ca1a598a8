"""Deploys the template with sam into ministack, a stand-in for AWS that checks IAM, and talks to what was deployed.

    python3 tests/rehearsal/rehearse.py

Everything is as in a deployment (docs/deploy.md), except that the template is the variant that ministack can deploy
(`cargo chat template --ministack`), that parameters are given here instead of in samconfig.toml, that functions are debug
builds, and that they are told by hand what the stand-in does not tell them. Users come from a Cognito user pool. Then one role, one route and
one resource are broken, one after the other, and each must be noticed: else the talk proves nothing.

Runs at the root of the checkout. Needs cargo, `sam` and its boto3, `websocat`, `strip`, and what `cargo chat stack` needs.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import boto3
from botocore.config import Config

ACCOUNT = "000000000000"
REGION = "eu-west-1"
PASSWORD = "Rehearsal-1-is-no-secret"

# What one conversation calls. Others are deployed with a program that fails.
CALLED = [
    "upsert-profile",
    "request-friend",
    "respond-to-friend-request",
    "open-direct-conversation",
    "send-message",
    "list-messages",
    "create-live-ticket",
    "authorize-socket",
    "connect",
    "default",
    "disconnect",
    "check",
    "migrate",
]


class Mistake(NamedTuple):
    """Something that is broken in the deployed files."""

    # A stack of its own, since the stand-in cannot update one that has log groups.
    stack: str
    what: str
    file: str
    there: str
    then: str
    # What the conversation fails of.
    shows: str


MISTAKES = [
    Mistake(
        stack="chat-role",
        what="a role that may not write the table of connections",
        file="stacks/live.yaml",
        there="Action: [dynamodb:UpdateItem]",
        then="Action: [dynamodb:DescribeTable]",
        shows="LiveService/CreateLiveTicket: 503",
    ),
    Mistake(
        stack="chat-route",
        what="a route of another RPC",
        file="stacks/message.yaml",
        there="RouteKey: POST /chat.v1.MessageService/SendMessage",
        then="RouteKey: POST /chat.v1.MessageService/SendMassage",
        shows="MessageService/SendMessage: 404",
    ),
    Mistake(
        stack="chat-resource",
        what="a table with another key",
        file="template.yaml",
        there="AttributeName: user_id",
        then="AttributeName: user",
        shows="LiveService/CreateLiveTicket: 503",
    ),
]


class Unmet(Exception):
    """Something that was deployed does not do what it should."""


def say(text):
    """Says what goes on, with the seconds since the start."""
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


STARTED = time.monotonic()


def run(*command, **options):
    """Runs a program to its end; what it said is shown when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        raise Unmet(f"{' '.join(map(str, command[:3]))} failed:\n{done.stdout}")
    return done.stdout


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(look, what, seconds=60):
    """Waits until `look` answers something, and answers that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise Unmet(f"no {what} within {seconds} s")


@contextlib.contextmanager
def process(command, stop, **options):
    """A program that runs meanwhile, in a group of its own, which is ended with it."""
    child = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            # Bootstraps of functions outlive the stand-in that started them.
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextlib.contextmanager
def databases(folder):
    """Postgres and MongoDB, as `cargo chat stack` runs them for tests: its variables."""
    output = folder / "stack"
    with output.open("w") as written:
        command = ["cargo", "chat", "stack"]
        with process(command, signal.SIGINT, stdout=written, stdin=subprocess.DEVNULL) as child:

            def variables():
                if child.poll() is not None:
                    raise Unmet("cargo chat stack ended before it served")
                found = dict(re.findall(r"^export (\w+)='(.*)'$", output.read_text(), re.MULTILINE))
                return found if "MONGODB_URI" in found else None

            yield wait_until(variables, "databases", 600)


@contextlib.contextmanager
def stand_in(folder):
    """ministack, which checks signatures and IAM policies: its URL."""
    # The one that `cargo chat stack` uses, and has fetched.
    pinned = re.search(r"ministack==([\d.]+)", Path("local/src/stack/dynamodb.rs").read_text()).group(1)
    packages = Path(".chat/tools", f"ministack-{pinned}").resolve()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "AUTH": "true",
        "AWS_ENDPOINT_URL": url,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "PYTHONPATH": str(packages),
        "SFTP_ENABLED": "0",
    }
    with (folder / "ministack.log").open("w") as log:
        command = [sys.executable, "-m", "ministack"]
        options = {"env": environment, "stdout": log, "stderr": log, "cwd": folder}
        with process(command, signal.SIGTERM, **options) as child:

            def listens():
                if child.poll() is not None:
                    raise Unmet(f"ministack ended:\n{(folder / 'ministack.log').read_text()}")
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_ministack/health", timeout=5):
                    return True

            wait_until(listens, "ministack")
            yield url


class Deployment:
    """What is deployed, and how it is called."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = folder
        self.environment = os.environ | {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }
        self.tokens = {}
        # Known once there are users, and once it is deployed.
        self.issuer = self.audience = None
        self.migrate = self.api = self.live = None

    def client(self, service):
        """A client of the stand-in."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(read_timeout=120, retries={"max_attempts": 0}),
        )

    def make_secrets(self, databases):
        """The secrets that docs/deploy.md asks for: each user of Postgres has a URL of their own."""
        secrets = self.client("secretsmanager")
        owner = databases["DATABASE_URL"]
        urls = {
            "database-url": owner,
            "functions-database-url": re.sub("//[^@]*@", "//rehearsal_functions@", owner),
            "health-database-url": re.sub("//[^@]*@", "//rehearsal_health@", owner),
            "mongodb-uri": databases["MONGODB_URI"],
        }
        for name, text in urls.items():
            secrets.create_secret(Name=f"rehearsal/{name}", SecretString=text)

    def make_users(self):
        """A Cognito user pool with two users: the issuer and the audience of their tokens."""
        cognito = self.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="rehearsal")["UserPool"]["Id"]
        app = cognito.create_user_pool_client(
            UserPoolId=pool,
            ClientName="web",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
        )["UserPoolClient"]["ClientId"]
        for name in ["alice", "bob"]:
            cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
            cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
            answer = cognito.initiate_auth(
                ClientId=app,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
            )
            self.tokens[name] = answer["AuthenticationResult"]["AccessToken"]
        self.issuer, self.audience = f"https://cognito-idp.{REGION}.amazonaws.com/{pool}", app

    def user_id(self, name):
        """The subject of a user's token."""
        payload = self.tokens[name].split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]

    def deploy(self, stack):
        """`sam deploy`, with the parameters that have no default."""
        parameters = {
            "JwtIssuer": self.issuer,
            "JwtAudience": self.audience,
            "AllowedOrigins": "http://localhost:5173",
            "DatabaseUrlSecret": "rehearsal/database-url",
            "FunctionsDatabaseUrlSecret": "rehearsal/functions-database-url",
            "HealthDatabaseUrlSecret": "rehearsal/health-database-url",
            "MongodbUriSecret": "rehearsal/mongodb-uri",
        }
        run(
            "sam",
            "deploy",
            "--template-file",
            "template.yaml",
            "--stack-name",
            stack,
            "--capabilities",
            "CAPABILITY_IAM",
            "--resolve-s3",
            "--no-confirm-changeset",
            "--parameter-overrides",
            *(f"{name}={value}" for name, value in parameters.items()),
            cwd=self.folder,
            env=self.environment,
        )
        outputs = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in outputs}
        self.migrate = outputs["MigrateFunctionName"]
        api = re.search(r"//([^./:]+)", outputs["ApiUrl"]).group(1)
        live = re.search(r"//([^./:]+)", outputs["LiveUrl"]).group(1)
        self.api = f"{self.url}/_aws/execute-api/{api}/$default"
        self.live = f"{self.url}/_aws/execute-api/{live}/live"
        self.tell_what_the_stand_in_does_not(stack)

    def tell_what_the_stand_in_does_not(self, stack):
        """It leaves references to secrets in nested stacks as they are, makes secrets with the punctuation that the template
        rules out, and its socket API is not at Amazon's names."""
        functions, secrets = self.client("lambda"), self.client("secretsmanager")

        def text_of(reference):
            secret = secrets.get_secret_value(SecretId=reference.group(1))
            is_ours = secret["Name"].startswith("rehearsal/")
            return secret["SecretString"] if is_ours else re.sub("[^A-Za-z0-9]", "0", secret["SecretString"])

        for name in CALLED:
            name = f"{stack}-{name}"
            variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            for variable, value in variables.items():
                variables[variable] = re.sub(r"{{resolve:secretsmanager:(.+):SecretString}}", text_of, value)
            if "LIVE_ENDPOINT" in variables:
                variables["LIVE_ENDPOINT"] = self.live
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    def run_migrate(self):
        """What whoever deploys runs."""
        answer = self.client("lambda").invoke(FunctionName=self.migrate, Payload=b"{}")
        payload = json.loads(answer["Payload"].read())
        # Notes say that users of Postgres have more rights than they should.
        if "FunctionError" in answer or payload != {"migrated": True}:
            raise Unmet(f"migrate: {payload}")

    def call(self, name, rpc, request):
        """Calls an RPC as a user, or as nobody: (HTTP status, answer)."""
        headers = {"content-type": "application/json"}
        if name:
            headers["authorization"] = f"Bearer {self.tokens[name]}"
        body = json.dumps(request).encode()
        try:
            call = urllib.request.Request(f"{self.api}/{rpc}", body, headers)
            with urllib.request.urlopen(call, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode(errors="replace")

    def expect(self, name, rpc, request):
        """What an RPC answers that must succeed."""
        status, answer = self.call(name, f"chat.v1.{rpc}", request)
        if status != 200:
            raise Unmet(f"{rpc}: {status} {answer}")
        return answer

    @contextlib.contextmanager
    def socket(self, name):
        """A live socket of a user: a function that waits for an event of a kind."""
        ticket = self.expect(name, "LiveService/CreateLiveTicket", {})["ticket"]
        seen = self.folder / f"socket-{name}"
        url = self.live.replace("http:", "ws:")
        with seen.open("w") as written:
            # It would refuse an answer that does not choose the subprotocol, which the stand-in never does.
            command = ["websocat", "--no-close", url, "-H", f"Sec-WebSocket-Protocol: chat.v1, ticket.{ticket}"]
            options = {"stdin": subprocess.PIPE, "stdout": written, "stderr": written, "text": True}
            with process(command, signal.SIGTERM, **options) as child:
                child.stdin.write('{"hello": {}}\n')
                child.stdin.flush()

                def expect(kind):
                    try:
                        wait_until(lambda: f'"{kind}"' in seen.read_text(), f"{kind} on the socket", 30)
                    except Unmet as unmet:
                        raise Unmet(f"{unmet}; it showed: {seen.read_text()}") from None

                yield expect


def hold_conversation(chat, number):
    """One conversation, from two strangers to a message that is pushed and read. `number` tells one from another."""
    status, answer = chat.call(None, "grpc.health.v1.Health/Check", {})
    if status != 200 or answer.get("status") != "SERVING":
        raise Unmet(f"health: {status} {answer}")
    status, _ = chat.call(None, "chat.v1.UserService/UpsertProfile", {"displayName": "Nobody"})
    if status != 401:
        raise Unmet(f"a call without a token was answered {status}")
    for name in ["alice", "bob"]:
        chat.expect(name, "UserService/UpsertProfile", {"displayName": name.capitalize()})
    alice, bob = chat.user_id("alice"), chat.user_id("bob")
    chat.expect("alice", "FriendService/RequestFriend", {"userId": bob})
    answer = {"userId": alice, "answer": "FRIEND_REQUEST_ANSWER_ACCEPT"}
    if number == 0:
        chat.expect("bob", "FriendService/RespondToFriendRequest", answer)
    opened = chat.expect("alice", "ConversationService/OpenDirectConversation", {"userId": bob})
    conversation = opened["conversation"]["conversationId"]
    with chat.socket("bob") as socket_shows:
        socket_shows("welcome")
        message = {"conversationId": conversation, "clientMessageId": f"hello-{number}", "text": f"Hello {number}"}
        sent = chat.expect("alice", "MessageService/SendMessage", message)
        again = chat.expect("alice", "MessageService/SendMessage", message)
        if sent["message"]["messageId"] != again["message"]["messageId"]:
            raise Unmet(f"a repeat became another message: {sent}, {again}")
        socket_shows("messageSent")
    history = chat.expect("bob", "MessageService/ListMessages", {"conversationId": conversation})
    texts = [message["text"] for message in history["messages"]]
    if texts.count(f"Hello {number}") != 1:
        raise Unmet(f"bob reads {texts}")


def lay_out(folder):
    """The template's variant, with the programs where it looks for them."""
    say("building the functions")
    binaries = [word for name in CALLED for word in ("--bin", name)]
    run("cargo", "build", "--workspace", *binaries)
    run("cargo", "chat", "template", "--ministack", str(folder))
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "debug"
    for stack in (folder / "stacks").glob("*.yaml"):
        for name in re.findall(r"Code: \.\./target/lambda/([\w-]+)/", stack.read_text()):
            program = folder / "target" / "lambda" / name / "bootstrap"
            program.parent.mkdir(parents=True)
            if name in CALLED:
                shutil.copy(target / name, program)
                run("strip", str(program))
            else:
                program.write_text("#!/bin/sh\nexit 1\n")
                program.chmod(0o755)


def main():
    with tempfile.TemporaryDirectory(prefix="chat-rehearsal-") as folder:
        folder = Path(folder)
        template = folder / "template"
        template.mkdir()
        lay_out(template)
        say("starting databases and the stand-in")
        with databases(folder) as stores, stand_in(folder) as url:
            chat = Deployment(url, template)
            chat.make_secrets(stores)
            chat.make_users()
            say("deploying")
            chat.deploy("chat")
            chat.run_migrate()
            hold_conversation(chat, 0)
            say("held a conversation through what was deployed")
            for number, mistake in enumerate(MISTAKES, 1):
                must_be_noticed(chat, template, number, mistake)


def must_be_noticed(chat, template, number, mistake):
    """Deploys a mistake, and expects the conversation to fail of it."""
    file = template / mistake.file
    right = file.read_text()
    if mistake.there not in right:
        raise Unmet(f"{mistake.file} has no `{mistake.there}` to break")
    file.write_text(right.replace(mistake.there, mistake.then))
    chat.deploy(mistake.stack)
    file.write_text(right)
    try:
        hold_conversation(chat, number)
    except Unmet as unmet:
        if mistake.shows not in str(unmet):
            raise
        say(f"noticed {mistake.what}: {mistake.shows}")
    else:
        raise Unmet(f"{mistake.what} was not noticed")


if __name__ == "__main__":
    try:
        main()
    except Unmet as unmet:
        sys.exit(f"rehearse: {unmet}")
