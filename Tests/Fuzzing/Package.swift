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

// Built with `--sanitize=fuzzer`, which brings the main function.
let package = Package(
    name: "fuzzing",
    dependencies: [.package(name: "lockd", path: "../..")],
    targets: [
        .executableTarget(
            name: "FuzzWire",
            dependencies: [.product(name: "_LockdInternals", package: "lockd")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "FuzzService",
            dependencies: [.product(name: "_LockdInternals", package: "lockd")],
            swiftSettings: settings
        ),
    ]
)
