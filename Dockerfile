# The worker and every other churnwatch command. Settings come from CHURNWATCH_* variables (streams/settings.py).

FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/churnwatch
ENV PATH=/opt/churnwatch/bin:$PATH
WORKDIR /src

# Dependencies first: this layer stays while only our own code changes.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
    && pip install -r requirements.txt

COPY README.md LICENSE ./
COPY features features
COPY models models
COPY interventions interventions
COPY streams streams
RUN pip install --no-deps .


FROM python:3.12-slim

# Quiet hours are the customers' own, so their time zones must be known.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin churnwatch \
    && install --directory --owner=churnwatch --group=churnwatch /var/lib/churnwatch

COPY --from=build /opt/churnwatch /opt/churnwatch

ENV PATH=/opt/churnwatch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CHURNWATCH_WORKER__STATE_DIR=/var/lib/churnwatch \
    CHURNWATCH_WORKER__HTTP_HOST=0.0.0.0

# Checkpoints. With the changelogs on a real broker they only save time; without them nothing is lost.
VOLUME /var/lib/churnwatch
WORKDIR /var/lib/churnwatch
# By number, so that a cluster can see that it is not root.
USER 10001:10001
EXPOSE 8080

# No proxy between a container and itself, whatever the environment says.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('CHURNWATCH_WORKER__HTTP_PORT', '8080') + '/health/live', timeout=4)"]

ENTRYPOINT ["churnwatch"]
CMD ["worker"]
