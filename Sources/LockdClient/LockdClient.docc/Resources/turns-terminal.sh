swift run report &
swift run report &
lockctl show reports/nightly
