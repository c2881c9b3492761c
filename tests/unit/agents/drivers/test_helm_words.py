"""What Helm's words mean, and what of them is never shown. All texts are what Helm 4.3 and 3.18 said."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from agents.drivers.kubernetes.helm_words import HelmFailed, Trouble, failure, without_shown, without_values
from federation.runtime.command import Answered

APPLYING = "Error: server-side apply failed for object test-1/"
SERVICE = (
    'Service "refused" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, '
    "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive]"
)
OTHER_RELEASE = (
    'Error: unable to continue with install: ConfigMap "shared" in namespace "test-1" exists and cannot be imported into '
    "the current release: invalid ownership metadata; annotation validation error: key "
    '"meta.helm.sh/release-name" must equal "tiny": current value is "other"\n'
)
CONFLICT = (
    "conflict occurred while applying object x/tiny /v1, Kind=ConfigMap: Apply failed with 1 conflict: conflict with "
)
UPGRADE_CONFLICT = (
    f'level=WARN msg="upgrade failed" name=tiny error="{CONFLICT}\\"the-neighbour\\" using v1: .data.greeting"\n'
    f'Error: UPGRADE FAILED: {CONFLICT}"the-neighbour" using v1: .data.greeting\n'
)


def said(text: str, given: object = None, code: int = 1) -> HelmFailed:
    return failure("tiny cannot be brought to test-1", Answered(code, b"", text.encode()), json.dumps(given).encode())


@pytest.mark.parametrize(
    ("text", "trouble", "shown"),
    [
        (
            (
                "Error: execution error at (tiny/templates/objects.yaml:7:16): a greeting is needed\n\n"
                "Use --debug flag to render out invalid YAML\n"
            ),
            Trouble.RENDERING,
            (
                "the chart does not render with these values: execution error at (tiny/templates/objects.yaml:7:16): "
                "a greeting is needed"
            ),
        ),
        (
            (
                "Error: YAML parse error on tiny/templates/objects.yaml: error converting YAML to JSON: yaml: line 6: did "
                "not find expected key\n\nUse --debug flag to render out invalid YAML\n"
            ),
            Trouble.RENDERING,
            "yaml: line 6: did not find expected key",
        ),
        (
            (
                "Error: values don't meet the specifications of the schema(s) in the following chart(s):\ntiny:\n"
                "- at '/more/0': missing property 'kind'\n- at '/claim': got number, want boolean\n"
                "- at '': additional properties 'nonsense' not allowed\n\n"
            ),
            Trouble.VALUES,
            (
                "the chart refuses its values: at '/more/0': missing property 'kind'; at '/claim': got number, want boolean"
                "; at '': additional properties 'nonsense' not allowed"
            ),
        ),
        ('Error: path "/nowhere" not found\n', Trouble.NO_CHART, 'there is no such chart: path "/nowhere" not found'),
        (
            (
                'Error: kubernetes cluster unreachable: Get "https://127.0.0.1:1/version": dial tcp 127.0.0.1:1: connect: '
                "connection refused\n"
            ),
            Trouble.UNREACHABLE,
            "the cluster does not answer (kubernetes cluster unreachable: Get",
        ),
        (
            (
                'Error: kubernetes cluster unreachable: Get "https://nohost.invalid:6443/version": dial tcp: lookup '
                "nohost.invalid on 192.0.2.53:53: no such host\n"
            ),
            Trouble.UNREACHABLE,
            "no such host)",
        ),
        (OTHER_RELEASE, Trouble.FOREIGN, "belongs to the release other: unable to continue with install: ConfigMap"),
        ("Error: uninstall: Release not loaded: tiny: release: not found\n", Trouble.NOT_FOUND, "no such release"),
        (
            UPGRADE_CONFLICT,
            Trouble.CONFLICT,
            f'the-neighbour holds fields that the chart sets: {CONFLICT}"the-neighbour"',
        ),
        (
            f"{APPLYING}refused /v1, Kind=Service: {SERVICE}\n",
            Trouble.INVALID,
            "refuses what the chart makes: server-side",
        ),
        (
            f"Error: UPGRADE FAILED: failed to create resource: {SERVICE}\n",
            Trouble.INVALID,
            f"the cluster refuses what the chart makes: failed to create resource: {SERVICE}",
        ),
        (
            (
                f'{APPLYING}tiny /v1, Kind=PersistentVolumeClaim: persistentvolumeclaims "tiny" is forbidden: exceeded '
                "quota: few-claims, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=0, limited: "
                "persistentvolumeclaims=0\n"
            ),
            Trouble.QUOTA,
            "a quota of the namespace refuses it: ",
        ),
        (
            (
                "Error: 1 error occurred:\n\t* configmaps \"tiny\" is forbidden: ValidatingAdmissionPolicy 'no-tiny' with "
                "binding 'no-tiny' denied request: not this one\n\n\n"
            ),
            Trouble.WEBHOOK,
            "policy of the cluster refuses it: configmaps \"tiny\" is forbidden: ValidatingAdmissionPolicy 'no-tiny'",
        ),
        (
            (
                'Error: query: failed to query with labels: secrets is forbidden: User "system:serviceaccount:x:reader" '
                'cannot list resource "secrets" in API group "" in the namespace "test-1"\n'
            ),
            Trouble.FORBIDDEN,
            "the cluster does not let this site do it: query",
        ),
        (
            "Error: kubernetes cluster unreachable: the server has asked for the client to provide credentials\n",
            Trouble.STRANGER,
            "the cluster does not know who this site is: look at its kubeconfig",
        ),
        (
            'Error: create: failed to create: namespaces "nowhere" not found\n',
            Trouble.NO_NAMESPACE,
            "the namespace is not there, or is going away",
        ),
        (
            (
                "Error: UPGRADE FAILED: pre-upgrade hooks failed: resource Job/test-1/endless not ready. status: InProgress"
                ", message: Job in progress\ncontext deadline exceeded\n"
            ),
            Trouble.HOOK,
            "message: Job in progress context deadline exceeded",
        ),
        (
            "Error: UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred:\n\t* timed out waiting for the condition\n",
            Trouble.HOOK,
            "a hook of the chart did not succeed: pre-upgrade hooks failed",
        ),
        ("Error: context canceled\n", Trouble.KILLED, "Helm was killed (context canceled)"),
        (
            (
                "Error: values don't meet the specifications of the schema(s) in the following chart(s):\ntiny:\n"
                "- (root): Additional property nonsense is not allowed\n"
                "- claim: Invalid type. Expected: boolean, given: integer\n\n"
            ),
            Trouble.VALUES,
            "(root): Additional property nonsense is not allowed; claim: Invalid type. Expected: boolean, given: integer",
        ),
        ("Error: something new\n", Trouble.OTHER, "Helm failed: something new"),
        ("", Trouble.OTHER, "Helm failed: code 1, it said nothing"),
    ],
)
def test_words_of_helm_become_words_for_an_admin(text: str, trouble: Trouble, shown: str) -> None:
    error = said(text)
    assert error.trouble is trouble
    assert error.message.startswith("tiny cannot be brought to test-1: ")
    assert shown in error.message


def test_what_repeating_does_not_help_is_not_repeated() -> None:
    assert said("Error: values don't meet the specifications of the schema(s)\n").delay_s is None
    assert said("Error: exceeded quota: claims\n").delay_s == 60


def test_a_helm_that_was_killed_is_no_error_of_the_chart() -> None:
    assert said("", code=-9).trouble is Trouble.KILLED


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"hub": {"config": {"Auth": {"client_secret": "plain-name"}}}}, "plain-name"),  # its key says so
        ({"hub": {"cookieSecret": "0123456789abcdef" * 4}}, "0123456789abcdef" * 4),
        ({"hub": {"db": {"url": "postgresql://hub:pw@db/hub"}}}, "postgresql://hub:pw@db/hub"),
        ({"a": "Correct Horse"}, "Correct Horse"),
        ({"code": "one = 1\nmore = 'Top'"}, "more = 'Top'"),
        ({"a": 'with "quotes"'}, 'with \\"quotes\\"'),
        ({"hub": {"config": {"Auth": {"allowed_users": ["jsmith"]}}}}, "jsmith"),
        ({"list": [{"apiToken": "abcd1234"}]}, b64encode(b"abcd1234").decode()),
    ],
)
def test_values_are_not_shown(given: object, secret: str) -> None:
    text = without_values(f"Error: spec.x: Invalid value: {secret}: no\n", json.dumps(given).encode())
    assert text == "Error: spec.x: Invalid value: [redacted]: no\n"


@pytest.mark.parametrize("name", ["quay.io/jupyterhub/k8s-hub:4.4.0", "ceph-block", "hub"])
def test_plain_names_are_shown(name: str) -> None:
    text = f'Error: image "{name}"'
    assert without_values(text, json.dumps({"singleuser": {"image": {"name": name}}}).encode()) == text


def test_a_failed_release_shows_no_value_that_was_refused() -> None:
    said = 'Upgrade "tiny" failed: Secret "x" is invalid: [a: Invalid value: "it \\"is\\" so": no, b: Required value]'
    assert without_shown(said) == said.replace('"it \\"is\\" so"', "[redacted]")
    said = 'Job "x" is invalid: spec.template: Invalid value: {"env":[{"value":"s"}]}: field is immutable'
    assert without_shown(said).endswith("Invalid value: [redacted]: field is immutable")


def test_words_of_kubernetes_are_shown() -> None:
    given = {"service": {"type": "ClusterIP"}, "more": [{"kind": "Service", "name": "TopSecret"}]}
    text = without_values("Service of ClusterIP: TopSecret", json.dumps(given).encode())
    assert text == "Service of ClusterIP: [redacted]"
