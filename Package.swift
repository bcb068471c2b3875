// swift-tools-version: 6.2

import PackageDescription

/// What every Swift target is built with.
///
/// Warnings are errors here and only here: a package that depends on this one sees none of it.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "lockd",
    products: [
        .library(name: "LockdClient", targets: ["LockdClient"]),
        .library(name: "LockdClientServiceLifecycle", targets: ["LockdClientServiceLifecycle"]),
        .executable(name: "lockd", targets: ["lockd"]),
        .executable(name: "lockctl", targets: ["lockctl"]),
        // For the benchmarks and the fuzzers of this repository, which are packages of their own. Not for anybody else: no promise holds here.
        .library(name: "_LockdInternals", targets: ["LockdModel", "LockdCore", "LockdWire", "LockdServer", "CLinux"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        // Without its traits: lockd.conf is read with Yams, so that errors know their line (docs/decisions/0006-settings-in-layers.md).
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/onevcat/Rainbow", from: "4.2.2"),
        // For LockdClientServiceLifecycle only: who depends on LockdClient alone does not get it.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        // Floor 0: values, system headers.
        .target(name: "LockdModel", swiftSettings: settings),
        .target(name: "CUnix"),
        .target(name: "CLinux", dependencies: ["CUnix"]),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev", "pkg-config"])]),

        // Floor 1: rules and bytes. No I/O, no clock.
        .target(
            name: "LockdCore",
            dependencies: [
                "LockdModel",
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: settings
        ),
        .target(name: "LockdWire", dependencies: ["LockdModel"], swiftSettings: settings),

        // Floor 2: shells.
        .target(
            name: "LockdServer",
            dependencies: [
                "CLinux", "CUnix", "LockdCore", "LockdModel", "LockdWire",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "LockdClient",
            dependencies: ["CUnix", "LockdModel", "LockdWire"],
            swiftSettings: settings
        ),
        .target(
            name: "LockdClientServiceLifecycle",
            dependencies: ["LockdClient", .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")],
            swiftSettings: settings
        ),

        .target(
            name: "Systemd",
            dependencies: [
                "CLinux", "CSystemd", "CUnix", "LockdModel",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),

        // Floor 3: programs.
        .executableTarget(
            name: "lockd",
            dependencies: [
                "CLinux", "CUnix", "LockdModel", "LockdServer", "LockdWire", "Systemd",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "lockctl",
            dependencies: [
                "CLinux", "LockdClient", "LockdModel", "LockdWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Rainbow", package: "Rainbow"),
            ],
            swiftSettings: settings
        ),

        // The example of README.md, so that it is compiled with the rest.
        .executableTarget(
            name: "with_lease",
            dependencies: ["LockdClient"],
            path: "docs/examples/with_lease",
            swiftSettings: settings
        ),

        // Tests, one for each of the modules and programs.
        .testTarget(name: "LockdModelTests", dependencies: ["LockdModel"], swiftSettings: settings),
        .testTarget(name: "LockdCoreTests", dependencies: ["LockdCore", "LockdModel"], swiftSettings: settings),
        .testTarget(name: "LockdWireTests", dependencies: ["LockdModel", "LockdWire"], swiftSettings: settings),
        .testTarget(
            name: "LockdServerTests",
            dependencies: [
                "CLinux", "CUnix", "LockdCore", "LockdModel", "LockdServer", "LockdWire",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LockdClientTests",
            dependencies: [
                "CLinux", "CUnix", "LockdClient", "LockdClientServiceLifecycle", "LockdModel", "LockdServer",
                "LockdWire",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SystemdTests",
            dependencies: [
                "CLinux", "CUnix", "LockdModel", "Systemd", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "lockdTests",
            dependencies: [
                "lockd", "LockdModel", "LockdServer", "Systemd", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "lockctlTests",
            dependencies: [
                "lockctl", "LockdModel", "LockdWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings
        ),
    ]
)
