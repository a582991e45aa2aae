# leat in a small image: built on Debian 12, run with its shared libraries only, as a user without rights on a file system it cannot write.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/install.sh scripts/install.sh
RUN bash scripts/install.sh build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN make -j"$(nproc)" all && make install PREFIX=/usr DESTDIR=/out && strip /out/usr/bin/leat

FROM debian:bookworm-slim
COPY scripts/install.sh /tmp/install.sh
RUN bash /tmp/install.sh runtime && rm -rf /var/lib/apt/lists/* /tmp/install.sh \
	&& useradd --uid 10001 --home-dir /var/lib/leat --no-create-home --shell /usr/sbin/nologin leat && install -d -o leat -g leat /var/lib/leat
COPY --from=build /out/usr/bin/leat /usr/bin/leat
COPY --from=build /out/usr/share/leat /usr/share/leat
USER 10001
WORKDIR /usr/share/leat
VOLUME /var/lib/leat
# Ctrl-C and `docker stop` end it in order.
STOPSIGNAL SIGTERM
ENTRYPOINT ["leat"]
