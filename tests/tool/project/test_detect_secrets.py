"""What looks like a secret, by its name or by its form."""

from mf_k8s.project.detect_secrets import is_secret

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----\n"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"
SECRETS = {
    ("DB_PASS", "sunshine"),
    ("PGPASS", "sunshine"),
    ("PGPASSWORD", "sunshine"),
    ("MYSQL_PWD", "sunshine"),
    ("db_password", "sunshine"),
    ("STRIPE_API_KEY", "sunshine"),
    ("PRIVATE_KEY", "sunshine"),
    ("SLACK_WEBHOOK_URL", "https://hooks.example.com/T0/B0"),
    ("DATABASE_URL", "postgres://churn:sunshine@db:5432/churn"),
    ("HTTPS_PROXY", "http://ann:sunshine@proxy:3128"),
    ("SENTRY_DSN", "https://abc123@o0.ingest.sentry.io/42"),
    ("AZURE", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c3Vu;"),
    ("CERTIFICATE", PEM),
    ("BEARER", JWT),
    ("KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("KEY", "kJ8vQ2mZx7/Lp3RtYw9NbC4sDfG6hT1uEaXoVi5M"),
    ("GH", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("HUB", "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"),
    ("LLM", "sk-proj-a8Fq2LmX9_pR4tYw7NbC3sDfG"),
    ("OTHER", "tP5x2GkQ9vRj7LmZ4bWc"),
    ("ARGO_TOKEN", "Bearer sunshine"),
    ("MF_STRIPE_API_KEY", "sunshine"),
    ("VAULT_SECRET_ID", "sunshine"),
    ("API_TOKENS", "sunshine,moonlight"),
    ("AUTH_TOKEN_HEADER", "Bearer sunshine"),
}
NO_SECRETS = {
    ("PWD", "/home/ann/churn"),
    ("OLDPWD", "/home/ann"),
    ("PASS_RATE", "0.95"),
    ("MAX_TOKENS", "4096 tokens"),
    ("MAX_TOKENS_OF_BATCH", "1,000,000"),
    ("API_KEY_HEADER", "X-API-Key"),
    ("AUTH_TOKEN_HEADER", "Authorization"),
    ("TOKENIZER", "bert-base-uncased"),
    ("EOS_TOKEN", "<|endoftext|>"),
    ("DB_PASSWORD_FILE", "/run/secrets/db"),
    ("API_KEY_SECRET_NAME", "churn-api-key"),
    ("OAUTH_TOKEN_URL", "https://login.example.com/token"),
    ("DATABASE_URL", "postgres://db:5432/churn"),
    ("COMMIT", "9fceb02d0ae598e95dc970b74767f19372d61af8"),
    ("RUN_ID", "5c256cf3-b566-4295-973e-fa5a3162ac6a"),
    ("IMAGE", "ghcr.io/acme/churn@sha256:" + "0f" * 32),
    ("MODEL", "meta-llama/Llama-3.1-8B-Instruct-GPTQ-INT4"),
    ("LIBRARY", "sk-learn-random-forest-v2"),
    ("HUB", "hf_transformers_bert_base_uncased"),
    ("PASS_THROUGH", "all-of-them"),
    ("ROLE", "arn:aws:iam::123456789012:role/ChurnDeployer2024"),
    ("DATA", "s3://acme-metaflow/Churn/Data2024/part-00042"),
    ("FLOW", "HelloFlowWithANameThatIsLongerThanArgoTakes2"),
    ("METAFLOW_PRODUCTION_TOKEN", "mfprj-churnmodel-0-abcd"),
    ("METAFLOW_ARGO_EVENTS_WEBHOOK_URL", "http://webhook.argo.svc:12000/metaflow-event"),
}


def test_what_looks_like_a_secret() -> None:
    """By its name or by its form; not what programs, models, commits and images are called."""
    assert {pair for pair in SECRETS if not is_secret(*pair)} == set()
    assert {pair for pair in NO_SECRETS if is_secret(*pair)} == set()
