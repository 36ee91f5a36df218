# Ochre in a container: `docker build -t ochre .`
#
# The first stage builds the screens, the second the program with the screens inside, the last holds nothing but the program, a
# busybox for the health check, certificates, and a user without rights.

FROM node:20-bookworm-slim AS assets
WORKDIR /src
COPY . .
RUN scripts/npm.sh build

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY --from=assets /src .
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags='-s -w' -o /ochre ./cmd/ochre

FROM busybox:1.37-musl AS busybox

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=busybox /bin/busybox /busybox
COPY --from=build /ochre /ochre
USER nonroot:nonroot
ENV OCHRE_ADDR=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=12 \
    CMD ["/busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["/ochre"]
CMD ["serve"]
