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

let package = Package(
    name: "fuzzing",
    dependencies: [.package(name: "lockd", path: "../..")],
    targets: [
        .systemLibrary(name: "CLibFuzzer"),
        .executableTarget(
            name: "wire-fuzzer",
            dependencies: [
                "CLibFuzzer",
                .product(name: "_LockdInternals", package: "lockd"),
            ],
            swiftSettings: settings
        ),
    ]
)
