FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    ENROLLBOT_HOST=0.0.0.0 \
    ENROLLBOT_DATABASE_URL=sqlite:////data/enrollbot.db

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock

COPY bot ./bot
RUN useradd --system --uid 10001 --no-create-home enrollbot \
    && mkdir /data && chown enrollbot /data

USER enrollbot
VOLUME /data
EXPOSE 3000

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('ENROLLBOT_PORT', '3000') + '/healthz', timeout=4)"]

# SIGTERM lets running work be parked, which takes up to 20 seconds: docker stop --time 30.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "bot"]
CMD ["run"]
