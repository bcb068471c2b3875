// swift-tools-version: 6.2

import PackageDescription

/// As in the package of the daemon, two folders up.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let cSettings: [CSetting] = [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]

let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(name: "lockd", path: "../.."),
    ],
    targets: [
        // The limit case: an epoll server in C that decides nothing.
        .executableTarget(name: "echo-limit", cSettings: cSettings),

        // The load. It shares no code with the daemon, so a mistake in ours cannot cancel itself out.
        .systemLibrary(name: "CEpoll"),
        .executableTarget(
            name: "loadgen",
            dependencies: [
                "CEpoll",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: settings
        ),

        // What clients.py runs for the Swift library.
        .executableTarget(
            name: "client-load",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "LockdClient", package: "lockd"),
            ],
            swiftSettings: settings
        ),

        // The command whose lock is handed over in lockctl.py.
        .executableTarget(name: "stamp", cSettings: cSettings),

        // The daemon's table and wire code on SwiftNIO, for docs/decisions/0001.
        .executableTarget(
            name: "nio-lockd",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "_LockdInternals", package: "lockd"),
            ],
            swiftSettings: settings
        ),
    ]
)
