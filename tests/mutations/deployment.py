"""What is deployed: the image, the compose file, and who may reach what."""

from tests.mutations.defence import Defence, kept_by

COMPOSE = "docker-compose.yml"

DEPLOYMENT = [
    Defence(
        "no password of the compose file has a default",
        COMPOSE,
        "${REDIS_PASSWORD:?set it in .env, to what openssl rand -hex 32 says}",
        "${REDIS_PASSWORD:-redis}",
        kept_by("e2e/test_containers test_no_secret_has_a_default"),
    ),
    Defence(
        "the image's server is not root",
        "Dockerfile",
        "USER 10001\n",
        "",
        kept_by("e2e/test_containers test_the_image_runs_what_signals_reach_as_nobody_in_particular"),
    ),
    Defence(
        "behind compose's nginx no address is believed but its own",
        COMPOSE,
        "    FORWARDED_ALLOW_IPS: 10.77.0.10\n",
        "    FORWARDED_ALLOW_IPS: 10.77.0.0/24\n",
        kept_by("e2e/test_containers test_nginx_and_the_apps_know_each_others_addresses"),
    ),
    Defence(
        "a replica needs a password",
        "deploy/postgres/primary.sh",
        "all scram-sha-256",
        "all trust",
        kept_by("e2e/test_postgres_scripts test_a_replica_without_the_password_is_refused"),
    ),
]
