# Heroku reads this at the start of each dyno, and nobody else does. Its Redis has a certificate that it has signed itself, so the
# connection is encrypted and the certificate is not looked at.
if [ -n "${DYNO:-}" ]; then
    for name in REDIS_URL CELERY_BROKER_URL; do
        case "${!name:-}" in
            *\?*) ;;
            rediss://*) export "$name=${!name}?ssl_cert_reqs=none" ;;
        esac
    done
    unset name
fi
