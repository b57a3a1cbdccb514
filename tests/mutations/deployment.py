"""What is deployed: the image, the compose file, and who may reach what."""

from tests.mutations.defence import Defence, kept_by

COMPOSE = "docker-compose.yml"
NGINX = "deploy/nginx/nginx.conf"
READINESS = "app/health/readiness.py"
WORKER_APP = "app/cli/worker_app.py"
DRAINS = kept_by("e2e/test_draining test_for_drain_seconds_it_serves_and_is_not_ready")

DEPLOYMENT = [
    Defence(
        "what a killed worker had not begun goes to another at once",
        "app/core/jobs/broker.py",
        "celery.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)",
        "pass",
        kept_by("e2e/test_celery test_what_a_killed_worker_had_not_begun_goes_to_another_at_once"),
    ),
    Defence(
        "no password of the compose file has a default",
        COMPOSE,
        "${REDIS_PASSWORD:?set it in .env, to what openssl rand -hex 32 says}",
        "${REDIS_PASSWORD:-redis}",
        kept_by("e2e/test_containers test_no_secret_has_a_default"),
    ),
    Defence(
        "no container of the compose file gains what it has not",
        COMPOSE,
        "  cap_drop: [ALL]\n",
        "",
        kept_by("e2e/test_containers test_no_service_may_more_than_it_needs"),
    ),
    Defence(
        "on AWS nobody reaches a task but the load balancer",
        "deploy/aws/groundwork.yml",
        "SourceSecurityGroupId: !Ref BalancerGroup",
        "CidrIp: 0.0.0.0/0",
        kept_by("e2e/test_aws test_only_the_balancer_is_open_to_the_world"),
    ),
    Defence(
        "what a killed server has left of a database is not applied to the one that is restored",
        "docs/DEPLOYMENT.md",
        "rm -f app.db-wal app.db-shm && ",
        "",
        kept_by("e2e/test_backups test_what_is_copied_of_sqlite_comes_back"),
    ),
    Defence(
        "an unused connection is kept for as long as the balancer in front needs",
        "app/cli/serve.py",
        "header_read_timeout=settings.keep_alive_seconds * 1000,",
        "header_read_timeout=10_000,",
        kept_by("e2e/test_draining test_an_unused_connection_is_kept_for_as_long_as_it_is_told"),
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
    Defence(
        "SIGTERM lets new connections in for DRAIN_SECONDS",
        WORKER_APP,
        'if scope["type"] == "lifespan" and self.seconds:',
        "if False:",
        DRAINS,
    ),
    Defence(
        "what is answered while draining says that it is the last",
        WORKER_APP,
        "            send = _closing(send)\n",
        "            pass\n",
        DRAINS,
    ),
    Defence(
        "a worker that is still starting ends on SIGTERM",
        "app/cli/serve.py",
        "    os.register_at_fork(after_in_child=_reset_signals)\n",
        "",
        kept_by("e2e/test_draining test_one_that_is_still_starting_ends_on_sigterm"),
    ),
    Defence(
        "nginx sends no POST twice",
        NGINX,
        "proxy_next_upstream error timeout;",
        "proxy_next_upstream error timeout non_idempotent;",
        kept_by("e2e/test_load_balancer test_a_post_is_never_sent_twice"),
    ),
    Defence(
        "nginx asks elsewhere",
        NGINX,
        "proxy_next_upstream error timeout;",
        "proxy_next_upstream off;",
        kept_by("e2e/test_load_balancer test_one_that_is_killed_costs_no_read"),
    ),
    Defence(
        "nginx drops what a client says of its address",
        NGINX,
        "X-Forwarded-For $remote_addr;",
        "X-Forwarded-For $http_x_forwarded_for;",
        kept_by("e2e/test_nginx test_what_nginx_says_and_what_it_passes_on"),
    ),
    Defence(
        "an instance without its database is out of the rotation",
        READINESS,
        'return "unavailable"',
        'return "degraded"',
        kept_by(
            "integration/test_readiness test_before_its_migrations_and_without_its_database_it_does_not_serve",
        ),
    ),
    Defence(
        "readiness costs one look a second",
        "app/health/looks.py",
        "if self._look is None or (self._look.done() and time.monotonic() >= self._fresh_until):",
        "if True:",
        kept_by("integration/test_readiness test_however_many_ask_one_look_is_taken"),
    ),
]
