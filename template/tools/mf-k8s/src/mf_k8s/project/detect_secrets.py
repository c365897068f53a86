"""Tells values that are secret, by the name of their variable or by their own form.

Metaflow's own variables are judged by neither: what is secret among them is in METAFLOW_SECRETS.
"""

import re

METAFLOW = "METAFLOW_"  # how names of Metaflow's own variables begin
ADDRESSES = ("slack-webhook-url", "pager-duty-integration-key", "incident-io-api-key")
ADDRESS_VARIABLES = {
    f"METAFLOW_ARGO_WORKFLOWS_CREATE_NOTIFY_{name.upper().replace('-', '_')}" for name in ADDRESSES
}
METAFLOW_SECRETS = {
    "METAFLOW_AWS_SANDBOX_API_KEY",
    "METAFLOW_SERVICE_AUTH_KEY",
    "METAFLOW_SERVICE_HEADERS",
    *ADDRESS_VARIABLES,
}
NAMES = re.compile(
    r"SECRET|TOKEN(?!IZ)|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|WEBHOOK|API_?KEY"
    r"|(ACCESS|AUTH|ENCRYPTION|PRIVATE|SIGNING)_?KEY|(^|_)(PG)?PASS$|\w_PWD$"
)
# What such a name is followed by where the value is none: DB_PASSWORD_FILE, OAUTH_TOKEN_URL.
OTHER_ENDS = re.compile(
    r"_(ARN|COUNT|DIR|EXPIRY|FILE|LENGTH|LIMIT|NAME|PATH|REF|TTL|TYPE|URI|URL|VERSION)$"
    r"|(?<!SECRET)_ID$"  # VAULT_SECRET_ID is what it logs in with
)
# What is short, numbers, paths, tokens of a language model, the name of a header, and what Argo or
# the shell fills in.
HARMLESS = re.compile(
    r".{,5}|[\d.,\s-]*( tokens)?|[~.]?/.*|<.*>|\[.*\]|(?i:authorization|x-[a-z-]+)"
    r"|.*(\{\{|\$[({]).*"
)
FORMS = (
    r"://[^/\s:@]+:[^/\s@]+@",  # a login in a URL
    r"(?i)\b(password|pwd|accountkey|sharedaccesskey|sharedaccesssignature)=[^\s;&]",
    r"aws_secret_access_key\W+\w",  # in JSON
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\bey[\w-]{8,}\.ey[\w-]{8,}\.[\w-]+",  # JWT
    r"\b(AKIA|ASIA)[A-Z2-7]{16}\b",  # of AWS
    r"\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|AIza)[\w-]{16,}",  # of services
    r"\b(hf_[A-Za-z0-9]{30}|sk-(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{20})",  # not sk-learn-…, hf_model_…
    r"https://hooks\.slack\.com/services/\w",
)
DSN = re.compile(r"://[^/\s@]+@")  # as of Sentry, whose key is the user
RANDOM = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")


def is_secret(name: str, value: str) -> bool:
    """Return whether a variable's value is secret, as far as its name and its form tell."""
    if name.startswith(METAFLOW):
        return name in METAFLOW_SECRETS
    name, value = name.upper(), value.strip()
    random = RANDOM.fullmatch(value) and looks_random(value)
    if (
        random
        or has_secret_form(value)
        or (re.search(r"(^|_)DSN(_|$)", name) and DSN.search(value))
    ):
        return True
    if not NAMES.search(name) or HARMLESS.fullmatch(value):
        return False
    return "WEBHOOK" in name or not OTHER_ENDS.search(name)


def has_secret_form(value: str) -> bool:
    """Return whether a text has the form of a secret: a login or a key."""
    return any(re.search(form, value) for form in FORMS)


def looks_random(value: str) -> bool:
    """Return whether chance has made a text: small letters, capitals and digits often change.

    They do after 4 of 10 characters, and after 2 in names and paths, whose words are whole, with a
    capital or without. A hash, a digest or a UUID has no capitals, and is no secret.
    """
    kinds = "".join(
        "9" if character.isdigit() else "A" if character.isupper() else "a"
        for character in value
        if character.isalnum()
    )
    changes = len(re.findall(r"(?=aA|a9|9a|9A|A9)", kinds))  # Aa begins a word
    return len({*kinds}) == 3 and changes >= 0.3 * len(kinds)
